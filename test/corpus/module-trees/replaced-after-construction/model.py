import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, bias=False)
        self.features = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.fc = nn.Linear(8, num_classes)
        self.aux = nn.Linear(8, num_classes)


def get_model(num_classes=5):
    model = Backbone()
    in_features = model.fc.in_features
    model.fc = nn.Linear(in_features, num_classes)  # <- fc
    model.conv1 = nn.Conv2d(1, model.conv1.out_channels, kernel_size=3, bias=False)  # <- conv1
    model.features[0] = nn.Conv2d(8, 8, 5)  # <- features.0
    model.features[-1] = nn.Identity()
    del model.aux
    model.extra = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 2))
    return model
