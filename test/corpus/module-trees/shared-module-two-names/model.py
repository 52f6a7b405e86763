from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 3)  # <- encoder
        self.also = self.encoder
        shared = nn.Conv2d(3, 3, 1)
        self.stack = nn.ModuleList([shared for _ in range(2)])
        self.seq = nn.Sequential(shared, nn.ReLU(), shared)
        self.decoder = nn.Linear(3, 4)
        self.decoder.bias = nn.Parameter(self.decoder.bias.data)
