import torch
import torch.nn as nn
import torch.nn.functional as F


def make_layer(block, n, **kwargs):
    return nn.Sequential(*[block(**kwargs) for _ in range(n)])


class ResidualDenseBlock(nn.Module):
    def __init__(self, nf=4, gc=2):
        super().__init__()
        self.conv1 = nn.Conv2d(nf, gc, 3, 1, 1)
        self.conv2 = nn.Conv2d(nf + gc, nf, 3, 1, 1)
        self.lrelu = nn.LeakyReLU(negative_slope=0.2, inplace=True)

    def forward(self, x):
        x1 = self.lrelu(self.conv1(x))
        x2 = self.conv2(torch.cat((x, x1), 1))
        return x2 * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, nf=4):
        super().__init__()
        self.conv_first = nn.Conv2d(3, nf, 3, 1, 1)
        self.body = make_layer(ResidualDenseBlock, 2, nf=nf)
        self.up = nn.Conv2d(nf, nf * 4, 3, 1, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.last = nn.Conv2d(nf, 3, 3, 1, 1, padding_mode="reflect")

    def forward(self, x):
        feat = self.conv_first(F.pixel_unshuffle(F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), 2)[:, :3])
        feat = feat + self.body(feat)
        out = self.shuffle(F.leaky_relu(self.up(feat), 0.2))
        base = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(out) + base
