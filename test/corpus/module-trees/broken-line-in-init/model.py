import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)  # <- a
        self.b = nn.
        self.c = nn.Linear(4, 2)  # <- c


class Other(nn.Module):
    pass
