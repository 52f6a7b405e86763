import torch
import torch.nn as nn


class EmbeddingNet(nn.Module):
    def __init__(self):
        super(EmbeddingNet, self).__init__()
        self.convnet = nn.Sequential(nn.Conv2d(1, 4, 5), nn.PReLU(), nn.MaxPool2d(2, stride=2), nn.Conv2d(4, 8, 5), nn.PReLU())
        self.fc = nn.Sequential(nn.Linear(8 * 4 * 4, 16), nn.PReLU(16), nn.Linear(16, 2))


class SiameseNetwork(nn.Module):
    def __init__(self, embedding_net=None):
        super(SiameseNetwork, self).__init__()
        self.embedding_net = embedding_net or EmbeddingNet()
        self.online = nn.Linear(2, 2)
        self.target = nn.Linear(2, 2)
        self.target.load_state_dict(self.online.state_dict())
        for p in self.target.parameters():
            p.requires_grad_(False)
