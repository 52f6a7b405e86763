import torch
import torch.nn as nn


CFG = {"tiny": [8, "M", 12, 12, "M", 16, "M"]}


class VGG(nn.Module):
    def __init__(self, name="tiny", num_classes=5):
        super().__init__()
        self.features = self._make(CFG[name])
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(16 * 4, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, num_classes))

    def _make(self, cfg):
        layers, c = [], 3
        for v in cfg:
            if v == "M":
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            else:
                layers.extend([nn.Conv2d(c, v, kernel_size=3, padding=1), nn.BatchNorm2d(v), nn.ReLU(inplace=True)])
                c = v
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))
