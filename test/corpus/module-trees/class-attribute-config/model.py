import torch.nn as nn


class Config:
    dim = 12
    depth = 2
    heads = dim // 4
    mlp = {'ratio': 3, 'bias': False}

    class head:
        classes = 7


class Net(nn.Module):
    cfg = Config
    STAGES = ((4, 1), (8, 2))

    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg if cfg is not None else self.cfg
        self.proj = nn.Linear(cfg.dim, cfg.heads)
        self.blocks = nn.ModuleList([nn.Linear(cfg.dim, int(cfg.dim * cfg.mlp['ratio']), bias=cfg.mlp['bias']) for _ in range(cfg.depth)])
        self.head = nn.Linear(cfg.dim, cfg.head.classes)
        c = 3
        for width, repeat in self.STAGES:
            for r in range(repeat):
                self.add_module(f's{width}_{r}', nn.Conv2d(c, width, 1))
                c = width
