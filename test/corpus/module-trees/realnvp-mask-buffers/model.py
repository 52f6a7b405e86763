import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, dim, hidden, mask):
        super().__init__()
        self.register_buffer('mask', mask)
        self.s = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, dim))
        self.t = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, dim))


class RealNVP(nn.Module):
    def __init__(self, dim=4, n_layers=2, hidden=6):
        super().__init__()
        masks = torch.zeros(n_layers, dim)
        masks[::2, ::2] = 1
        self.layers = nn.ModuleList([Coupling(dim, hidden, masks[i]) for i in range(n_layers)])
        self.prior_mean = nn.Parameter(torch.zeros(dim), requires_grad=False)
        self.register_buffer('perm', torch.randperm(dim))
        self.w = nn.Parameter(torch.linalg.qr(torch.randn(dim, dim))[0])
