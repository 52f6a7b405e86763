"""Noise at its mean, a codebook whose losses forward gives too, and noise that is added to features."""
import torch
import torch.nn.functional as F
from torch import nn


class Codebook(nn.Module):
    def __init__(self, count, width):
        super().__init__()
        self.embedding = nn.Embedding(count, width)
        self.distance = nn.L1Loss(reduction="none")

    def forward(self, z):
        far = z.pow(2).sum(1, keepdim=True) + self.embedding.weight.pow(2).sum(1) - 2 * z @ self.embedding.weight.t()
        chosen = self.embedding(far.argmin(1))
        loss = F.mse_loss(chosen, z.detach()) + 0.25 * F.mse_loss(chosen.detach(), z, reduction="sum")
        return z + (chosen - z).detach(), loss, self.distance(chosen, z)


class NoisyVQ(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.encoder = nn.Linear(10, 2 * width)
        self.codebook = Codebook(5, width)
        self.strength = nn.Parameter(torch.ones(1))
        self.decoder = nn.Linear(width, 10)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z, loss, distance = self.codebook(self.reparameterize(mu, logvar))
        z = z + self.strength * torch.randn(z.shape[0], 1, device=z.device)
        z = z + torch.zeros_like(z).normal_(0, 0.1)
        return self.decoder(z), loss, distance
