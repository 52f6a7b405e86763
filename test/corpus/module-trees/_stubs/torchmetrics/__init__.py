"""Stands in for torchmetrics: the states of a metric are not in state_dict."""
import torch.nn as nn


class Accuracy(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
