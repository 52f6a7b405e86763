import torch
import torch.nn as nn


class Perceiver(nn.Module):
    def __init__(self, dim=8, latents=3, heads=2):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, dim))
        self.attn = nn.MultiheadAttention(dim, heads, kdim=6, vdim=6, batch_first=True)
        self.self_attn = nn.MultiheadAttention(dim, heads, batch_first=True, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        b = x.shape[0]
        q = self.latents.unsqueeze(0).repeat(b, 1, 1)
        out, weights = self.attn(q, x, x)
        out = self.norm(out + q)
        out = out + self.self_attn(out, out, out, need_weights=False)[0]
        return out, weights
