"""Networks of torchvision, whole and in parts, as backbones of a model of one's own."""
import torch
import torchvision
from torch import nn
from torchvision.models import DenseNet, MobileNetV2, resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.squeezenet import Fire


class Backbones(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = IntermediateLayerGetter(resnet18(), return_layers={"bn1": "low", "maxpool": "high"})
        shortcut = nn.Sequential(nn.Conv2d(64, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.block = BasicBlock(64, 8, stride=2, downsample=shortcut, norm_layer=torchvision.ops.FrozenBatchNorm2d)
        self.neck = Bottleneck(8, 2, groups=2, base_width=64, dilation=2)
        self.fire = Fire(8, 2, 4, 4)
        self.dense = DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=6, num_classes=3)
        self.mobile = MobileNetV2(width_mult=0.1, inverted_residual_setting=[[1, 16, 1, 1], [3, 24, 2, 2]], round_nearest=4).features[:4]

    def forward(self, x):
        parts = self.stem(x)
        y = self.fire(self.neck(self.block(parts["high"])))
        return parts["low"], y, self.dense(x), self.mobile(x)
