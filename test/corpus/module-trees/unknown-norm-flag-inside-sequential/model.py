import torch.nn as nn


def conv_block(i, o, bias):
    return nn.Sequential(nn.Conv2d(i, o, 3, bias=bias), nn.ReLU())
