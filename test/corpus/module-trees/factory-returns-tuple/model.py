import torch.nn as nn


class Criterion(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.scale = nn.Linear(classes, 1)


class Detector(nn.Module):
    def __init__(self, backbone, classes):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(8, classes)


def build(classes=3):
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    model = Detector(backbone, classes)
    return {}, model, Criterion(classes)
