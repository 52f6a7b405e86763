# What the source alone does not say, with the reason; nothing is said of a loss that holds no tensors.
# stored: stem.weight 8x4
# stored: stem.bias 8
# stored: body.0.weight 8x8
import torch.nn as nn
from missing_package import make_body, FancyLoss


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 8)  # bitlens: ignore[BL108]
        self.body = make_body("large")
        #           ^^^^^^^^^^^^^^^^^^ BL501: what is inside body is not known: imported from missing_package
        #           ^^^^^^^^^^^^^^^^^^ BL108: body.0: 8 weights per output channel
        self.loss = FancyLoss()
