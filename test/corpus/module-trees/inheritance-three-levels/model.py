import torch
from torch import nn
from abc import ABC, abstractmethod


class BaseModel(nn.Module, ABC):
    def __init__(self, hidden, out):
        super().__init__()
        self.hidden = hidden
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder(out)

    @abstractmethod
    def build_encoder(self):
        raise NotImplementedError

    def build_decoder(self, out):
        return nn.Linear(self.hidden, out)


class MidModel(BaseModel):
    in_dim = 5

    def __init__(self, hidden=8, **kwargs):
        kwargs.setdefault('out', 3)
        super(MidModel, self).__init__(hidden, **kwargs)
        self.mid = nn.Linear(hidden, hidden)  # <- mid

    def build_encoder(self):
        return nn.Sequential(nn.Linear(self.in_dim, self.hidden), nn.ReLU())


class TopModel(MidModel):
    in_dim = 7

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.top = nn.Parameter(torch.zeros(self.hidden, 1))

    def build_decoder(self, out):
        base = super().build_decoder(out)
        return nn.Sequential(base, nn.Linear(out, out, bias=False))
