"""Functions with gradients of their own: what they compute is their forward, with a context or with setup_context."""
import numpy as np
import torch
from torch import nn


class Remember(torch.autograd.Function):
    @staticmethod
    def forward(ctx, run, length, *args):
        ctx.run = run
        ctx.save_for_backward(*args[:length])
        with torch.no_grad():
            return ctx.run(*args[:length])

    @staticmethod
    def backward(ctx, grad):
        raise NotImplementedError


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]


class Recomputing(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        table = np.log(np.arange(1, 5)[:, np.newaxis] * np.ones(6)[np.newaxis, :])
        self.register_buffer("table", torch.from_numpy(table).float())

    def _run(self, x, y):
        return torch.tanh(self.inner(x)) + y

    def forward(self, x):
        made = Remember.apply(self._run, 2, x, x[..., np.newaxis].sum(-1), *self.parameters())
        return Scaled.apply(made, 0.5).unsqueeze(1) + self.table
