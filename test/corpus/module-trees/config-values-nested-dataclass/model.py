from dataclasses import dataclass, field
from typing import Optional

import torch
import torch.nn as nn


@dataclass
class ExpertArgs:
    count: int
    hidden: int = 12


@dataclass
class ModelArgs:
    dim: int = 64
    depth: int = 8
    heads: int = 4
    head_dim: Optional[int] = None
    vocab: int = -1
    experts: Optional[ExpertArgs] = None
    stages: list = field(default_factory=lambda: [1, 2])

    def __post_init__(self):
        if self.head_dim is None:
            self.head_dim = self.dim // self.heads

    @property
    def inner(self):
        return self.heads * self.head_dim


class Experts(nn.Module):
    def __init__(self, dim: int, args: ExpertArgs):
        super().__init__()
        self.gate = nn.Linear(dim, args.count, bias=False)
        self.up = nn.ModuleList(nn.Linear(dim, args.hidden) for _ in range(args.count))


class Layer(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.wq = nn.Linear(args.dim, args.inner, bias=False)
        self.ff = nn.Linear(args.dim, args.dim) if args.experts is None else Experts(args.dim, args.experts)  # <- layers.0.ff layers.1.ff


class Decoder(nn.Module):
    def __init__(self, args: "ModelArgs"):
        super().__init__()
        self.embed = nn.Embedding(args.vocab, args.dim)
        self.layers = nn.ModuleDict({str(i): Layer(args) for i in range(args.depth)})
        self.norms = nn.ModuleList([nn.LayerNorm(args.dim) for _ in args.stages])
