"""Stands in for pytorch_lightning: a module that remembers the arguments of its __init__."""
import inspect
import types

import torch.nn as nn


class LightningModule(nn.Module):
    def save_hyperparameters(self, *args, ignore=(), **kwargs):
        frame = inspect.currentframe().f_back
        names = inspect.signature(type(self).__init__).parameters
        self.hparams = types.SimpleNamespace(**{n: frame.f_locals[n] for n in names if n in frame.f_locals and n != "self"})

    def log(self, *args, **kwargs):
        pass
