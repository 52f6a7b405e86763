import argparse
from argparse import Namespace
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.args = args
        self.embed = nn.Embedding(args.vocab, args.dim)
        self.layers = nn.ModuleList()
        for _ in range(args.layers):
            self.layers.append(nn.Linear(args.dim, args.dim))
        if args.use_bias_norm:
            self.norm = nn.LayerNorm(args.dim)
        if getattr(args, 'extra_head', False):
            self.extra = nn.Linear(args.dim, 1)
        if hasattr(args, 'classes'):
            self.out = nn.Linear(args.dim, args.classes)


def build():
    args = Namespace(vocab=11, dim=6, layers=2, use_bias_norm=True, classes=3)
    return Net(args)
