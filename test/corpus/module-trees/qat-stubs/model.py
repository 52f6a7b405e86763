import torch
from torch import nn
from torch.ao.quantization import QuantStub, DeQuantStub


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant = QuantStub()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)
        self.dequant = DeQuantStub()
        self.ff = nn.quantized.FloatFunctional()

    def fuse_model(self):
        torch.ao.quantization.fuse_modules(self, ['conv', 'bn'], inplace=True)
