import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, in_dim=784, hidden=(12, 8), out=10, p=0.2):
        super().__init__()
        dims = [in_dim, *hidden]
        layers = []
        for a, b in zip(dims[:-1], dims[1:]):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.1, inplace=True), nn.Dropout(p)]
        self.net = nn.Sequential(*layers)
        self.head = nn.Linear(dims[-1], out)

    def forward(self, x):
        x = torch.flatten(x, start_dim=1)
        return self.head(self.net(x)).softmax(-1)
