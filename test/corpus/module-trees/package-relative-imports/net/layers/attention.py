from torch import nn
from ..utils.misc import double


class SelfAttention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.qkv = nn.Linear(dim, dim + double(dim))
