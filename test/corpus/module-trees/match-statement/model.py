from enum import Enum
import torch.nn as nn


class Kind(Enum):
    CONV = 'conv'
    LINEAR = 'linear'


def make(kind, dim):
    match kind:
        case Kind.CONV:
            return nn.Conv1d(dim, dim, 3)
        case Kind.LINEAR:
            return nn.Linear(dim, dim)
        case _:
            raise ValueError(kind)


class Net(nn.Module):
    def __init__(self, norm='layer'):
        super().__init__()
        self.a = make(Kind.CONV, 3)
        self.b = make(Kind('linear'), 4)
        match norm:
            case 'batch':
                self.norm = nn.BatchNorm1d(4)
            case 'layer' | 'ln':
                self.norm = nn.LayerNorm(4)
