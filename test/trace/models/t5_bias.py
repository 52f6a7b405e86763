import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class T5Attention(nn.Module):
    def __init__(self, d_model=8, heads=2, buckets=8, max_distance=20):
        super().__init__()
        self.h, self.d = heads, d_model // heads
        self.buckets, self.max_distance = buckets, max_distance
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))
        self.relative_attention_bias = nn.Embedding(buckets, heads)

    @staticmethod
    def _relative_position_bucket(relative_position, num_buckets=8, max_distance=20):
        relative_buckets = 0
        num_buckets //= 2
        relative_buckets += (relative_position > 0).to(torch.long) * num_buckets
        relative_position = torch.abs(relative_position)
        max_exact = num_buckets // 2
        is_small = relative_position < max_exact
        large = max_exact + (torch.log(relative_position.float() / max_exact) / math.log(max_distance / max_exact) * (num_buckets - max_exact)).to(torch.long)
        large = torch.min(large, torch.full_like(large, num_buckets - 1))
        relative_buckets += torch.where(is_small, relative_position, large)
        return relative_buckets

    def compute_bias(self, q, k):
        context = torch.arange(q, dtype=torch.long)[:, None]
        memory = torch.arange(k, dtype=torch.long)[None, :]
        bucket = self._relative_position_bucket(memory - context, self.buckets, self.max_distance)
        return self.relative_attention_bias(bucket).permute([2, 0, 1]).unsqueeze(0)

    def forward(self, hidden_states):
        b, n = hidden_states.shape[:2]

        def shape(states):
            return states.view(b, -1, self.h, self.d).transpose(1, 2)

        q, k, v = shape(self.q(hidden_states)), shape(self.k(hidden_states)), shape(self.v(hidden_states))
        scores = torch.matmul(q, k.transpose(3, 2)) + self.compute_bias(n, n)
        attn = F.softmax(scores.float(), dim=-1).type_as(scores)
        return self.o(torch.matmul(attn, v).transpose(1, 2).contiguous().view(b, -1, self.h * self.d))
