import enum
from typing import NamedTuple
import torch.nn as nn


class Size(enum.IntEnum):
    SMALL = 4
    BIG = 8


class Spec(NamedTuple):
    width: int
    depth: int = 2
    norm: bool = True


class Net(nn.Module):
    def __init__(self, size=Size.BIG):
        super().__init__()
        spec = Spec(width=int(size))
        w, d, norm = spec
        self.proj = nn.Linear(Size.SMALL, spec.width)
        self.layers = nn.ModuleList(nn.Linear(w, w) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(w) if norm else nn.Identity()
        if size is Size.BIG:
            self.big = nn.Linear(w, Size.BIG.value * 2)
