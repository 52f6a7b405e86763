import torch.nn as nn


class Act(nn.Module):
    def forward(self, x):
        return x


class Lin(nn.Linear):
    pass


class Mid(nn.Sequential):
    """No __init__ of its own."""


class Outer(nn.Module):
    scale = 2

    def __init__(self):
        super().__init__()
        self.act = Act()
        self.lin = Lin(3, 4)  # <- lin
        self.mid = Mid(Lin(4, 4 * self.scale), Act())
