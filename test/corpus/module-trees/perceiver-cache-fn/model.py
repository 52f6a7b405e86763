from functools import wraps
import torch
from torch import nn


def cache_fn(f):
    cache = dict()

    @wraps(f)
    def cached_fn(*args, _cache=True, key=None, **kwargs):
        if not _cache:
            return f(*args, **kwargs)
        if key in cache:
            return cache[key]
        result = f(*args, **kwargs)
        cache[key] = result
        return result
    return cached_fn


class Perceiver(nn.Module):
    def __init__(self, depth=3, dim=4, weight_tie_layers=True, self_per_cross_attn=2):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(5, dim))
        get_cross_attn = lambda: nn.Linear(dim, 7)
        get_cross_ff = lambda: nn.Linear(7, dim)
        get_latent_attn = lambda: nn.Linear(dim, dim, bias=False)
        get_cross_attn, get_cross_ff, get_latent_attn = map(cache_fn, (get_cross_attn, get_cross_ff, get_latent_attn))

        self.layers = nn.ModuleList([])
        for i in range(depth):
            should_cache = i > 0 and weight_tie_layers
            cache_args = {'_cache': should_cache}
            self_attns = nn.ModuleList([])
            for block_ind in range(self_per_cross_attn):
                self_attns.append(get_latent_attn(**cache_args, key=block_ind))
            self.layers.append(nn.ModuleList([
                get_cross_attn(**cache_args),
                get_cross_ff(**cache_args),
                self_attns
            ]))
