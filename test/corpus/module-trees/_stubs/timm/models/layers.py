"""Stands in for timm.models.layers: only what the snippets use."""
import torch.nn as nn
from torch.nn.init import trunc_normal_


def to_2tuple(x):
    return x if isinstance(x, (tuple, list)) else (x, x)


class DropPath(nn.Module):
    def __init__(self, drop_prob=0.0, scale_by_keep=True):
        super().__init__()
