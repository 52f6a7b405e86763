import torch
import torch.nn as nn
import torch.nn.functional as F


class CausalConv1d(nn.Module):
    def __init__(self, i, o, k, dilation):
        super().__init__()
        self.pad = (k - 1) * dilation
        self.conv = nn.Conv1d(i, o, k, padding=self.pad, dilation=dilation)

    def forward(self, x):
        return self.conv(x)[:, :, : -self.pad]


class WaveNet(nn.Module):
    def __init__(self, channels=4, layers=3):
        super().__init__()
        self.inp = nn.Conv1d(1, channels, 1)
        self.dilated = nn.ModuleList([CausalConv1d(channels, 2 * channels, 2, 2 ** i) for i in range(layers)])
        self.res = nn.ModuleList([nn.Conv1d(channels, channels, 1) for _ in range(layers)])
        self.out = nn.Conv1d(channels, 2, 1)

    def forward(self, x):
        x = self.inp(x)
        skip = 0
        for d, r in zip(self.dilated, self.res):
            a, b = torch.split(d(x), 4, dim=1)
            z = torch.tanh(a) * torch.sigmoid(b)
            skip = skip + z
            x = x + r(z)
        return self.out(F.relu(skip))
