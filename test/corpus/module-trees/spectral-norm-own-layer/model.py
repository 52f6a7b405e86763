import torch
from torch import nn
from torch.nn.utils import spectral_norm as sn
import torch.nn.utils.spectral_norm as spectral
from torch.nn.utils.parametrizations import spectral_norm


def conv_block(i, o, use_sn=False):
    conv = nn.Conv2d(i, o, 3, bias=False)
    return nn.Sequential(sn(conv) if use_sn else conv, nn.InstanceNorm2d(o, affine=True))


class SNNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv_block(3, 4, True)
        self.b = conv_block(4, 4)
        self.c = spectral_norm(nn.Linear(4, 2))
        self.t = sn(nn.ConvTranspose2d(4, 2, 3))
