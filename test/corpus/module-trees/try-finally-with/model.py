import contextlib
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.a = nn.Linear(2, 3)
            self.a.weight.fill_(0.5)
        try:
            self.b = nn.Linear(3, 3)
        except RuntimeError:
            self.b = nn.Linear(9, 9)
        finally:
            self.c = nn.Linear(3, 1)
        with contextlib.suppress(Exception):
            self.d = nn.Linear(1, 1)
        assert isinstance(self.a, nn.Linear), 'no'
        if not hasattr(self, 'b'):
            self.b = nn.Linear(1, 1)
        if hasattr(self, 'missing'):
            self.e = nn.Linear(1, 1)
