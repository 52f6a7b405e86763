from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F


class Output(NamedTuple):
    reconstruction: torch.Tensor
    code: torch.Tensor


class AutoEncoder(nn.Module):
    def __init__(self, widths=(20, 12, 4)):
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:]))
        self.encoder = nn.Sequential(*[m for a, b in pairs for m in (nn.Linear(a, b), nn.SELU())])
        self.decoder = nn.Sequential(*[m for a, b in reversed(pairs) for m in (nn.Linear(b, a), nn.Softplus())])

    def forward(self, x) -> Output:
        code = F.normalize(self.encoder(x), dim=-1)
        return Output(reconstruction=self.decoder(code), code=code)
