import collections
from collections import OrderedDict

import torch.nn as nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(OrderedDict([
            ('c1', nn.Conv2d(1, 6, kernel_size=(5, 5))),  # <- features.c1
            ('relu1', nn.ReLU()),
            ('s2', nn.MaxPool2d(kernel_size=(2, 2), stride=2)),
            ('c3', nn.Conv2d(6, 16, kernel_size=(5, 5))),
            ('relu3', nn.ReLU()),
        ]))
        od = collections.OrderedDict()
        od['f6'] = nn.Linear(120, 84)  # <- fc.f6
        od['relu6'] = nn.ReLU()
        od['f7'] = nn.Linear(84, 10)
        self.fc = nn.Sequential(od)
        self.aux = nn.Sequential(OrderedDict({'a': nn.Linear(3, 2, False), 'b': nn.Linear(2, 1)}))
