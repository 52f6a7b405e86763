"""Weights kept as others: weight_norm and spectral_norm in their old and new forms, and pruning."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm
from torch.nn.utils import parametrizations


class NormedWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre = weight_norm(nn.Conv1d(2, 4, 3, padding=1))
        self.up = weight_norm(nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1))
        self.whole = weight_norm(nn.Conv1d(3, 4, 1), dim=None)
        self.critic = spectral_norm(nn.Conv1d(4, 6, 3))
        self.back = spectral_norm(nn.ConvTranspose1d(6, 4, 3))
        self.new = parametrizations.weight_norm(nn.Conv1d(4, 5, 3))
        self.sharp = parametrizations.spectral_norm(nn.Linear(5, 5))
        self.thin = prune.l1_unstructured(nn.Linear(5, 3), "weight", amount=0.4)

    def forward(self, x):
        x = self.up(F.leaky_relu(self.pre(x), 0.1))
        x = self.back(self.critic(torch.tanh(self.whole(x))))
        x = self.sharp(self.new(x).transpose(1, 2))
        return self.thin(x), F.linear(x, self.sharp.weight.t())
