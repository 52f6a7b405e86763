import torch
import torch.nn as nn


class Mlp(nn.Module):
    def __init__(self, in_dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(in_dim, hidden * 2)
        self.fc2 = nn.Linear(hidden * 2, 10)
        self.conv = nn.Conv2d(3, 8, 3)
        self.scale = nn.Parameter(torch.ones(hidden, 1))
