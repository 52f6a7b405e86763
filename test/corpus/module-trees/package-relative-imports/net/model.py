import torch.nn as nn

from . import config as cfg
from .layers import ConvBlock, make_norm
from .layers.attention import SelfAttention as SA
from .utils import misc


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ConvBlock(3, cfg.WIDTH)
        self.norm = make_norm(cfg.WIDTH)
        self.attn = SA(misc.double(cfg.WIDTH))  # <- attn
        self.out = nn.Linear(misc.double(cfg.WIDTH), cfg.CLASSES)
