from torch import nn

__all__ = ['ConvBlock', 'make_norm']


class ConvBlock(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1), nn.ReLU())


def make_norm(dim):
    return nn.BatchNorm2d(dim)


def hidden_helper():
    return None
