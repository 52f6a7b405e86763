import contextlib
from pathlib import Path

import torch.nn as nn
import yaml


class Conv(nn.Module):
    def __init__(self, c1, c2, k=1, s=1):
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2)


class Merge(nn.Module):
    def __init__(self, axis=1):
        super().__init__()
        self.axis = axis


class Head(nn.Module):
    def __init__(self, classes, widths=()):
        super().__init__()
        self.out = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths)


def build(table, width):
    layers, widths = [], [width]
    for i, (source, n, name, args) in enumerate(table["backbone"] + table["head"]):
        kind = eval(name)
        for j, a in enumerate(args):
            with contextlib.suppress(NameError):
                args[j] = eval(a) if isinstance(a, str) else a
        if kind is Conv:
            out = int(args[0] * table["width"])
            args = [widths[source], out, *args[1:]]
        elif kind is Merge:
            out = sum(widths[s] for s in source)
        elif kind is Head:
            args = [table["classes"], [widths[s] for s in source]]
        else:
            out = widths[source]
        made = nn.Sequential(*(kind(*args) for _ in range(n))) if n > 1 else kind(*args)
        layers.append(made)
        if i == 0:
            widths = []
        widths.append(out)
    return nn.Sequential(*layers)


class Model(nn.Module):
    def __init__(self, cfg=Path(__file__).parent / "configs" / "small.yaml"):
        super().__init__()
        with open(cfg, encoding="ascii") as f:
            self.table = yaml.safe_load(f)
        self.model = build(self.table, self.table.get("channels", 3))
