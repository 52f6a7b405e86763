import torch
import torch.nn as nn
import torch.nn.functional as F


class InplaceViews(nn.Module):
    """Writes into slices and views, as masks, caches and gates are often made."""

    def __init__(self, dim=6):
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x):
        y = self.fc(x)
        out = torch.zeros_like(y)
        out[:, :2] = y[:, :2]
        out[:, 2:4] += 1.5
        tail = out[:, 4:]
        tail.add_(y[:, 4:]).mul_(2)
        flat = out.view(-1)
        flat.clamp_(min=-0.5)
        mask = y > 0.3
        out[mask] = 0.25
        y.masked_fill_(~mask, -1.0)
        out[..., 0] = y.sum(-1)
        return out, F.relu_(y)
