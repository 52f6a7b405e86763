"""VGG: stacked 3x3 convolutions."""
import torch
from torch import nn

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

#: Convolutions at each of the five resolutions.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    def __init__(self, features, num_classes=1000, init_weights=True, dropout=0.5):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


def _vgg(depth, batch_norm, kwargs):
    layers = []
    width = 3
    for count, out_width in zip(DEPTHS[depth], WIDTHS):
        for _ in range(count):
            layers.append(nn.Conv2d(width, out_width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(out_width))
            layers.append(nn.ReLU(inplace=True))
            width = out_width
        layers.append(nn.MaxPool2d(2, 2))
    return VGG(nn.Sequential(*layers), **kwargs)


def vgg11(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(11, False, kwargs)


def vgg11_bn(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(11, True, kwargs)


def vgg13(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(13, False, kwargs)


def vgg13_bn(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(13, True, kwargs)


def vgg16(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(16, False, kwargs)


def vgg16_bn(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(16, True, kwargs)


def vgg19(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(19, False, kwargs)


def vgg19_bn(pretrained=False, progress=True, *, weights=None, **kwargs):
    return _vgg(19, True, kwargs)
