import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def alibi_slopes(n):
    start = 2 ** (-(2 ** -(math.log2(n) - 3)))
    return [start * start ** i for i in range(n)]


class AlibiAttention(nn.Module):
    def __init__(self, dim=16, n_head=4, n_kv=1, window=8):
        super().__init__()
        self.n_head, self.n_kv, self.head_dim = n_head, n_kv, dim // n_head
        self.Wqkv = nn.Linear(dim, (n_head + 2 * n_kv) * self.head_dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.register_buffer("slopes", torch.tensor(alibi_slopes(n_head)).view(1, n_head, 1, 1), persistent=False)
        self.window = window

    def forward(self, x):
        b, t, _ = x.shape
        sizes = [self.n_head * self.head_dim, self.n_kv * self.head_dim, self.n_kv * self.head_dim]
        q, k, v = self.Wqkv(x).split(sizes, dim=-1)
        q = q.view(b, t, self.n_head, -1).transpose(1, 2)
        k = k.view(b, t, self.n_kv, -1).transpose(1, 2)
        v = v.view(b, t, self.n_kv, -1).transpose(1, 2)
        i = torch.arange(t, device=x.device)
        rel = i[None, :] - i[:, None]
        keep = (rel <= 0) & (rel > -self.window)
        bias = (self.slopes * rel.to(x.dtype)).masked_fill(~keep, float("-inf"))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
        return self.out(y.transpose(1, 2).reshape(b, t, -1))
