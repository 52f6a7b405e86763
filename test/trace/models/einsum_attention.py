import torch
import torch.nn as nn


class RelAttention(nn.Module):
    def __init__(self, dim=12, heads=3, max_rel=40):
        super().__init__()
        self.h, self.d = heads, dim // heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, dim * 2, bias=False)
        self.rel = nn.Embedding(2 * max_rel + 1, self.d)
        self.max_rel = max_rel

    def forward(self, x):
        b, n, _ = x.shape
        q = self.to_q(x)
        k, v = self.to_kv(x).chunk(2, dim=-1)
        q, k, v = map(lambda t: t.reshape(b, n, self.h, self.d), (q, k, v))
        seq = torch.arange(n, device=x.device)
        dist = (seq[:, None] - seq[None, :]).clamp(-self.max_rel, self.max_rel) + self.max_rel
        rel = self.rel(dist)
        dots = torch.einsum("bihd,bjhd->bhij", q, k)
        pos = torch.einsum("b i h d, i j d -> b h i j", q, rel)
        attn = ((dots + pos) * self.d ** -0.5).softmax(dim=-1)
        return torch.einsum("bhij,bjhd->bihd", attn, v).reshape(b, n, -1)
