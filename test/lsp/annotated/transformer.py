# A stack of blocks from a loop: one finding per line with the worst layer.
# scan: blocks.*.qkv int4-sym-g64=19
# scan: blocks.2.qkv int4-sym-g64=11.5
# scan: blocks.*.proj kurtosis=40
# scan: tok dead=3
import torch
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        #          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ BL101: blocks.0..3.qkv: worst 11.5 dB in int4-sym-g64 at blocks.2.qkv
        self.proj = nn.Linear(dim, dim, bias=False)
        #           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ BL102: blocks.0..3.proj: heavy tails, worst kurtosis 40
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
        )

    def forward(self, x):
        return x + self.mlp(self.proj(self.qkv(self.norm(x))))
        #                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ BL503: the trace of Model ends here: a linear layer for 64 features is given a tensor of shape (batch, sequence, 192)


class Model(nn.Module):
    def __init__(self, vocab=100, dim=64, depth=4):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        #          ^^^^^^^^^^^^^^^^^^^^^^^^ BL104: tok: 3 dead (all zero)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(dim))
        self.head = nn.Linear(dim, vocab, bias=False)
        #           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ BL404: head shares its weight with tok
        self.head.weight = self.tok.weight

    def forward(self, x):
        x = self.tok(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)
