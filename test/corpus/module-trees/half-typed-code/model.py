import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)  # <- conv1
        self.fc = nn.Linear(128, 10)  # <- fc

    def forward(self, x):
        x = self.conv1(x)
        return self.fc(
