import torch
import torch.nn as nn
from torch.nn.utils import spectral_norm


class Discriminator(nn.Module):
    def __init__(self, nc=3, ndf=64, use_sn=True):
        super(Discriminator, self).__init__()
        norm = spectral_norm if use_sn else (lambda x: x)
        self.main = nn.Sequential(
            # input is (nc) x 32 x 32
            norm(nn.Conv2d(nc, ndf, 4, 2, 1, bias=False)),
            nn.LeakyReLU(0.2, inplace=True),
            norm(nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=True)),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),  # <- main.4
            nn.Sigmoid(),
        )
        self.embed = spectral_norm(nn.Embedding(10, ndf))
        self.fc = spectral_norm(nn.Linear(ndf, 1), name='weight', n_power_iterations=2)
