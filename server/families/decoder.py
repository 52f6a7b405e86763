"""What the decoders of several families share: norms, activations, masks, attention over grouped heads, gated layers."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def gelu_exact(x):
    return F.gelu(x)


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def activation(name):
    """Activations by the names that configurations use."""
    known = {"silu": F.silu, "swish": F.silu, "gelu": gelu_exact, "gelu_new": gelu_tanh, "gelu_fast": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh,
             "quick_gelu": quick_gelu, "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "linear": nn.Identity(), "mish": F.mish}
    if name not in known:
        raise ValueError(f"the activation {name} is not known")
    return known[name]


class RMSNorm(nn.Module):
    """`offset` 1 where weights are stored as differences from one (Gemma)."""

    def __init__(self, size, eps, offset=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps, self.offset = eps, offset

    def forward(self, x):
        normed = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return normed * (self.offset + self.weight) if self.offset else self.weight * normed


def causal_mask(length, window=None):
    """[length, length]: 0 where position i may look at j <= i (and i - j < window), else minus infinity."""
    mask = torch.triu(torch.full((length, length), float("-inf")), diagonal=1)
    if window is not None:
        mask = mask + torch.tril(torch.full((length, length), float("-inf")), diagonal=-window)
    return mask


def attend(q, k, v, mask, scale, softcap=None):
    """Attention of q [batch, heads, length, size] to fewer or as many heads of k and v; gives [batch, length, heads * size]."""
    batch, heads, length, size = q.shape
    groups = heads // k.shape[1]
    if groups > 1:
        k = k[:, :, None].expand(batch, heads // groups, groups, length, size).reshape(batch, heads, length, size)
        v = v[:, :, None].expand(batch, heads // groups, groups, length, size).reshape(batch, heads, length, size)
    scores = q @ k.transpose(-1, -2) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    return (F.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)


def split_heads(x, size):
    """[batch, length, heads * size] as [batch, heads, length, size]."""
    batch, length, width = x.shape
    return x.view(batch, length, width // size, size).transpose(1, 2)


class GatedMLP(nn.Module):
    def __init__(self, config, act, bias=False):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=bias)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=bias)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=bias)
        self.act_fn = activation(act)

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
