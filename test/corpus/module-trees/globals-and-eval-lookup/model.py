import sys
import torch.nn as nn
import parts


class Small(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, 1)


def build(name, *args):
    return globals()[name](*args)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = build('Small', 3)
        self.b = eval('Small')(4)
        self.c = eval('nn.Linear')(2, 2)
        self.d = getattr(parts, 'Part')(5)
        self.f = vars(nn)['Linear'](1, 1)
        self.g = nn.__dict__['Conv1d'](1, 1, 1)


def make():
    return Net()
