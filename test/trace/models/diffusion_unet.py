import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def timestep_embedding(timesteps, dim, max_period=10000):
    half = dim // 2
    freqs = torch.exp(-math.log(max_period) * torch.arange(start=0, end=half, dtype=torch.float32) / half).to(device=timesteps.device)
    args = timesteps[:, None].float() * freqs[None]
    embedding = torch.cat([torch.cos(args), torch.sin(args)], dim=-1)
    if dim % 2:
        embedding = torch.cat([embedding, torch.zeros_like(embedding[:, :1])], dim=-1)
    return embedding


class ResBlock(nn.Module):
    def __init__(self, c, emb):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(2, c), nn.SiLU(), nn.Conv2d(c, c, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * c))
        self.norm = nn.GroupNorm(2, c)
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x, emb):
        h = self.in_layers(x)
        emb_out = self.emb_layers(emb).type(h.dtype)
        while len(emb_out.shape) < len(h.shape):
            emb_out = emb_out[..., None]
        scale, shift = torch.chunk(emb_out, 2, dim=1)
        h = self.norm(h) * (1 + scale) + shift
        return x + self.conv(F.silu(h))


class UNet(nn.Module):
    def __init__(self, c=4):
        super().__init__()
        self.c = c
        self.time_embed = nn.Sequential(nn.Linear(c, 8), nn.SiLU(), nn.Linear(8, 8))
        self.conv_in = nn.Conv2d(3, c, 3, padding=1)
        self.down = ResBlock(c, 8)
        self.pool = nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.mid = ResBlock(c, 8)
        self.out = nn.Conv2d(2 * c, 3, 3, padding=1)

    def forward(self, x, timesteps):
        emb = self.time_embed(timestep_embedding(timesteps, self.c))
        h = self.down(self.conv_in(x), emb)
        m = self.mid(self.pool(h), emb)
        m = F.interpolate(m, scale_factor=2, mode="nearest")
        return self.out(torch.cat([m, h], dim=1))
