import torch.nn as nn


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 10)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        base = Base()
        modules = list(base.children())[:-1]
        self.features = nn.Sequential(*modules)
        self.head = nn.Linear(base.fc.in_features, 2)
