import torch
import torch.nn as nn


def conv_bn(i, o, k=3, s=1, g=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, (k - 1) // 2, groups=g, bias=False), nn.BatchNorm2d(o), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    def __init__(self, i, o, stride, t):
        super().__init__()
        hidden = int(round(i * t))
        self.use_res_connect = stride == 1 and i == o
        self.conv = nn.Sequential(*([conv_bn(i, hidden, 1)] if t != 1 else []), conv_bn(hidden, hidden, s=stride, g=hidden), nn.Conv2d(hidden, o, 1, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, settings=((1, 8, 1, 1), (4, 12, 2, 2))):
        super().__init__()
        features = [conv_bn(3, 8, s=2)]
        c = 8
        for t, o, n, s in settings:
            for i in range(n):
                features.append(InvertedResidual(c, o, s if i == 0 else 1, t))
                c = o
        self.features = nn.Sequential(*features)
        self.classifier = nn.Linear(c, 4)

    def forward(self, x):
        x = self.features(x)
        x = x.mean(3).mean(2)
        return self.classifier(x)
