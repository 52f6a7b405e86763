import torch.nn as nn
from blocks import *
import blocks.heads as heads
import helpers


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = Residual(helpers.DIM)
        self.h = heads.Head(helpers.DIM, n_out=helpers.pick('large'))
