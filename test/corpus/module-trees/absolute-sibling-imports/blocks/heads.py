import torch.nn as nn


class Head(nn.Module):
    def __init__(self, d, n_out):
        super().__init__()
        self.out = nn.Linear(d, n_out)
