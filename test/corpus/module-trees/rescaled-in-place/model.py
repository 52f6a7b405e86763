import torch
import torch.nn as nn


def rescale(module, reference):
    for sub in module.modules():
        if isinstance(sub, nn.Conv1d):
            scale = (sub.weight.std().detach() / reference) ** 0.5
            sub.weight.data /= scale
            if sub.bias is not None:
                sub.bias.data /= scale


class Encoder(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, width, 8), nn.ReLU(), nn.Conv1d(width, 2 * width, 1))
        self.gain = nn.Parameter(torch.ones(width, 1))
        self.gain.data *= torch.zeros(3, width, 1).std(0)
        rescale(self, reference=0.1)
