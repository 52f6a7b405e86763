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
        self.steps = nn.ModuleList([nn.Tanh(), None, nn.Linear(width, 4)])

    def forward(self, x):
        x = rearrange(self.stem(x), "b c h w -> b h w c")
        x, patches = pack([x], "b * c")
        b, n, _ = x.shape
        cls, registers = repeat(self.cls, "c -> b c", b=b), repeat(self.registers, "r c -> b r c", b=b)
        tokens, shapes = pack([cls, registers, x], "b * c")
        tokens = self.mix(tokens)
        cls, registers, x = unpack(tokens, shapes, "b * c")
        (grid,) = unpack(x, patches, "b * c")
        for step in self.steps:
            grid = step(grid) if step is not None else rearrange(grid, "b ... (e d) -> b e (...) d", e=2).flatten(1).reshape(b, -1, 6)
        return cls, registers, rearrange(grid, "b ... d -> b (...) d")
