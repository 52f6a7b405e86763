import torch
import torch.nn as nn
import torch.nn.functional as F


class FPN(nn.Module):
    def __init__(self, channels=(4, 8, 12), out=6):
        super().__init__()
        c = 3
        self.stages = nn.ModuleList()
        for ch in channels:
            self.stages.append(nn.Sequential(nn.Conv2d(c, ch, 3, 2, 1), nn.SiLU()))
            c = ch
        self.lateral = nn.ModuleList([nn.Conv2d(ch, out, 1) for ch in channels])
        self.smooth = nn.ModuleList([nn.Conv2d(out, out, 3, padding="same") for _ in channels])

    def forward(self, x):
        feats = []
        for stage in self.stages:
            x = stage(x)
            feats.append(x)
        laterals = [l(f) for l, f in zip(self.lateral, feats)]
        for i in range(len(laterals) - 1, 0, -1):
            laterals[i - 1] = laterals[i - 1] + F.interpolate(laterals[i], size=laterals[i - 1].shape[-2:], mode="nearest")
        return tuple(s(l) for s, l in zip(self.smooth, laterals))
