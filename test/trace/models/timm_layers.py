"""Layers of timm in a model of one's own."""
import torch
from timm.models.vision_transformer import Block, PatchEmbed
from timm.layers import Mlp
from torch import nn


class TimmLayers(nn.Module):
    def __init__(self, img_size=32, width=12, heads=3):
        super().__init__()
        self.patch_embed = PatchEmbed(img_size, 8, 3, width)
        self.pos_embed = nn.Parameter(torch.randn(1, self.patch_embed.num_patches, width) * 0.02)
        self.blocks = nn.ModuleList([Block(width, heads, 4.0, qkv_bias=True, norm_layer=nn.LayerNorm, init_values=0.1) for _ in range(2)])
        self.head = Mlp(width, 20, 5, act_layer=nn.Tanh)
        self.plain = Mlp(width, 16)

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(x), self.plain(x)
