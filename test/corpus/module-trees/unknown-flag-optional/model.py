import torch.nn as nn


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(4, 4)  # <- fc
        if config.use_norm:
            self.norm = nn.LayerNorm(4)  # <- norm
        if config.gated is True:
            self.gate = nn.Linear(8, 4, bias=False)
        self.out = nn.Linear(4, 2, bias=config.bias)  # <- out
