"""Tokens of several kinds packed into one sequence by einops, and taken apart again."""
import torch
from einops import pack, rearrange, repeat, unpack
from torch import nn


class PackedTokens(nn.Module):
    def __init__(self, patch=8, width=6):
        super().__init__()
        self.stem = nn.Conv2d(3, width, patch, stride=patch)
        self.cls = nn.Parameter(torch.randn(width))
        self.registers = nn.Parameter(torch.randn(2, width))
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        x = rearrange(self.stem(x), "b c h w -> b h w c")
        x, patches = pack([x], "b * c")
        b, n, _ = x.shape
        cls, registers = repeat(self.cls, "c -> b c", b=b), repeat(self.registers, "r c -> b r c", b=b)
        tokens, shapes = pack([cls, registers, x], "b * c")
        tokens = self.mix(tokens)
        cls, registers, x = unpack(tokens, shapes, "b * c")
        (grid,) = unpack(x, patches, "b * c")
        return cls, registers, rearrange(grid, "b h w c -> b c h w")
