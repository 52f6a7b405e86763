import torch
import torch.nn as nn


class Depth(nn.Module):
    def __init__(self):
        super().__init__()
        found = torch.hub.load('someone/models', 'resnext')
        self.width = found.width
        self.layer1 = nn.Sequential(found.conv1, found.bn1)
        self.layer2 = found.layer2
        self.out = nn.Conv2d(8, 1, 1)
