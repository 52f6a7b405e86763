"""Diffusion with steps and a context that have defaults of None and are needed all the same, and an offset that is a number."""
import math

import torch
from torch import nn

class Cross(nn.Module):
    def __init__(self, width, context_dim):
        super().__init__()
        self.to_q, self.to_k, self.to_v = nn.Linear(width, width), nn.Linear(context_dim, width), nn.Linear(context_dim, width)

    def forward(self, x, context):
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        return x + torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), dim=-1) @ v


class Conditioned(nn.Module):
    def __init__(self, in_channels=3, width=8, context_dim=6):
        super().__init__()
        self.width, self.context_dim = width, context_dim
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.cross = Cross(width, context_dim)
        self.out = nn.Conv2d(width, in_channels, 3, padding=1)

    def forward(self, x, start_pos: int, timesteps=None, context=None, y=None):
        half = self.width // 2
        freqs = torch.exp(-math.log(1e4) * torch.arange(start_pos, start_pos + half, dtype=torch.float32) / half)
        args = timesteps[:, None].float() * freqs[None]
        step = self.time(torch.cat([torch.cos(args), torch.sin(args)], dim=-1))
        x = self.stem(x) + step[:, :, None, None]
        b, c, h, w = x.shape
        tokens = self.cross(x.flatten(2).transpose(1, 2), context)
        return self.out(tokens.transpose(1, 2).reshape(b, c, h, w))
