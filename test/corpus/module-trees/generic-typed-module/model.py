from __future__ import annotations
from typing import Generic, TypeVar, Protocol, overload
import torch
from torch import nn

T = TypeVar('T')


class HasDim(Protocol):
    dim: int


class Base(nn.Module, Generic[T]):
    dim: int = 4

    def __init__(self, x: T | None = None, /, *, width: int | list[int] = 3) -> None:
        super().__init__()
        if isinstance(width, int):
            width = [width]
        self.layers: nn.ModuleList = nn.ModuleList(nn.Linear(self.dim, w) for w in width)
        self.w: nn.Parameter
        self.scale: nn.Parameter = nn.Parameter(torch.ones(len(width)))


class Net(Base[int]):
    def __init__(self) -> None:
        super().__init__(None, width=[2, 5])
        (y := nn.Linear(2, 2)).bias = None
        self.y = y
