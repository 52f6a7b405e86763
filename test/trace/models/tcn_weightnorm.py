import torch
import torch.nn as nn
import torch.nn.functional as F


class Chomp1d(nn.Module):
    def __init__(self, chomp):
        super().__init__()
        self.chomp_size = chomp

    def forward(self, x):
        return x[:, :, : -self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, i, o, k, d):
        super().__init__()
        pad = (k - 1) * d
        self.net = nn.Sequential(nn.Conv1d(i, o, k, padding=pad, dilation=d), Chomp1d(pad), nn.PReLU(), nn.GLU(dim=1) if False else nn.Identity())
        self.downsample = nn.Conv1d(i, o, 1) if i != o else None

    def forward(self, x):
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return F.relu(out + res)


class TCN(nn.Module):
    def __init__(self, channels=(4, 6)):
        super().__init__()
        sizes = [2, *channels]
        self.network = nn.Sequential(*[TemporalBlock(sizes[i], sizes[i + 1], 3, 2 ** i) for i in range(len(channels))])
        self.linear = nn.Linear(channels[-1], 3)

    def forward(self, x):
        y = self.network(x)
        return self.linear(y[:, :, -1])
