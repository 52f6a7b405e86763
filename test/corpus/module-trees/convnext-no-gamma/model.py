import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, layer_scale_init_value=1e-6):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(dim)) if layer_scale_init_value > 0 else None
        if self.gamma is not None:
            self.norm = nn.LayerNorm(dim)


class Stage(nn.Sequential):
    def __init__(self, dim, depth, scale=0):
        super().__init__(*[Block(dim, layer_scale_init_value=scale) for _ in range(depth)])
