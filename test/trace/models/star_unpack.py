"""Sizes unpacked behind a star beside other values: `b, n, _, h = *x.shape, self.heads`."""
import torch
from torch import nn


class StarAttention(nn.Module):
    def __init__(self, dim=8, heads=2):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, _, h = *x.shape, self.heads
        q, k, v = (part.reshape(b, n, h, -1).transpose(1, 2) for part in self.to_qkv(x).chunk(3, dim=-1))
        first, *middle, last = *x.shape[:2], h
        weights = (q @ k.transpose(-1, -2) / middle[0]).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(first, n, -1)) * last
