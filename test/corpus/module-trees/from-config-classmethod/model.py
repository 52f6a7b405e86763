from dataclasses import dataclass, asdict, fields
import torch.nn as nn


@dataclass
class Config:
    dim: int = 6
    depth: int = 2
    bias: bool = False


class Net(nn.Module):
    def __init__(self, dim, depth, bias):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, dim, bias) for _ in range(depth)])

    @classmethod
    def from_config(cls, cfg: Config, **overrides):
        kwargs = asdict(cfg)
        kwargs.update(overrides)
        return cls(**kwargs)

    @classmethod
    def from_dict(cls, d):
        return cls.from_config(Config(**d))


class Wrapper(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.head = nn.Linear(net.layers[-1].out_features, 1)


def build():
    return Wrapper(Net.from_config(Config(depth=1), bias=True) if False else Net.from_dict({'dim': 4}))
