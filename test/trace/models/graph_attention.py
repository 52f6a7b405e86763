"""Graph layers of weights as `x @ weight`, over nodes and what joins them; the weights are made by the class of tensors."""
import torch
import torch.nn.functional as F
from torch import nn


class GraphLayer(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.FloatTensor(inputs, outputs))
        self.bias = nn.Parameter(torch.FloatTensor(outputs))
        self.reset_parameters()

    def reset_parameters(self):
        self.weight.data.uniform_(-0.4, 0.4)
        self.bias.data.uniform_(-0.4, 0.4)

    def forward(self, input, adj):
        return torch.spmm(adj, torch.mm(input, self.weight)) + self.bias


class GraphNet(nn.Module):
    def __init__(self, features=7, hidden=6, classes=3, dropout=0.5):
        super().__init__()
        self.first, self.second = GraphLayer(features, hidden), GraphLayer(hidden, classes)
        self.look = nn.Parameter(torch.empty(2 * classes, 1).uniform_(-0.5, 0.5))
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.first(x, adj)), self.dropout, training=self.training)
        x = self.second(x, adj)
        half = x.shape[1]
        e = F.leaky_relu(x @ self.look[:half] + (x @ self.look[half:]).T, 0.2)
        weights = F.softmax(torch.where(adj > 0, e, -9e15 * torch.ones_like(e)), dim=1)
        return F.log_softmax(F.elu(weights @ x), dim=1)
