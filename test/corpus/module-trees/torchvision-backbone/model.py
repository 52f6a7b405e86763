import torch.nn as nn
import torchvision
from torchvision import models
from torchvision.models._utils import IntermediateLayerGetter


class Net(nn.Module):
    def __init__(self, num_classes=5, name="resnet34"):
        super().__init__()
        self.backbone = models.resnet18(pretrained=False)  # <- backbone.conv1 backbone.layer4.1.conv2
        self.backbone.fc = nn.Linear(512, num_classes)  # <- backbone.fc
        net = getattr(torchvision.models, name)(norm_layer=torchvision.ops.FrozenBatchNorm2d)  # <- body.bn1 body.layer2.0.downsample.0
        self.body = IntermediateLayerGetter(net, return_layers={"layer2": "0"})
        self.early = nn.Sequential(*list(models.vgg16_bn().features.children())[:7])  # <- early.0 early.4
        dense = models.densenet121()  # <- dense.denseblock4.denselayer16.conv2
        self.dense = dense.features
        self.mobile = models.mobilenet_v2(width_mult=0.5).features  # <- mobile.0.0 mobile.18.1
        self.squeezed = models.squeezenet1_1()  # <- squeezed.features.12.expand3x3
        self.squeezed.classifier[1] = nn.Conv2d(512, num_classes, kernel_size=1)  # <- squeezed.classifier.1
