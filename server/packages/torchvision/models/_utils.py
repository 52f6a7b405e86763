"""Helpers of torchvision.models that other code imports."""
from collections import OrderedDict

from torch import nn


class IntermediateLayerGetter(nn.ModuleDict):
    """The children of a model up to the last one asked for; gives what those return under new names."""

    def __init__(self, model, return_layers):
        wanted = {str(name) for name in return_layers}
        kept = OrderedDict()
        for name, child in model.named_children():
            kept[name] = child
            wanted.discard(name)
            if not wanted:
                break
        super().__init__(kept)
        self.return_layers = {str(name): str(new) for name, new in return_layers.items()}

    def forward(self, x):
        found = OrderedDict()
        for name, child in self.items():
            x = child(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found


def _make_divisible(v, divisor, min_value=None):
    least = divisor if min_value is None else min_value
    rounded = max(least, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded
