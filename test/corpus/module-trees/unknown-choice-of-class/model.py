import os
import torch.nn as nn

USE_LN = os.environ.get('USE_LN') == '1'


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        if USE_LN:
            self.norm = nn.LayerNorm(4)
        else:
            self.norm = nn.GroupNorm(2, 4)
        self.fc = nn.Linear(4, 2)  # <- fc
