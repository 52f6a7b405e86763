import torch
import torch.nn as nn
import torch.nn.functional as F


def elu_feature_map(x):
    return F.elu(x) + 1


class LinearAttention(nn.Module):
    def __init__(self, dim=8, heads=2):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, dim * 3)
        self.eps = 1e-6

    def forward(self, x):
        n, l, c = x.shape
        q, k, v = self.to_qkv(x).view(n, l, 3, self.heads, -1).unbind(2)
        q, k = elu_feature_map(q), elu_feature_map(k)
        kv = torch.einsum("nshd,nshm->nhmd", k, v)
        z = 1 / (torch.einsum("nlhd,nhd->nlh", q, k.sum(dim=1)) + self.eps)
        out = torch.einsum("nlhd,nhmd,nlh->nlhm", q, kv, z)
        return out.flatten(-2).contiguous()
