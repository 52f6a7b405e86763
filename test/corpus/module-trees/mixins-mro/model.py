import torch.nn as nn


class HeadMixin:
    def add_head(self, n):
        self.head = nn.Linear(self.width, n)


class NormMixin(object):
    norm_cls = nn.LayerNorm

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.norm = self.norm_cls(self.width)


class Core(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.core = nn.Linear(width, width)


class Model(HeadMixin, NormMixin, Core):
    def __init__(self, width=6):
        super().__init__(width)
        self.add_head(2)
