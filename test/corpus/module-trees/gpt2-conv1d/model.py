import torch
from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.activations import ACT2FN


class GPT2MLP(nn.Module):
    def __init__(self, intermediate_size, embed_dim):
        super().__init__()
        self.c_fc = Conv1D(intermediate_size, embed_dim)  # <- mlp.c_fc
        self.c_proj = Conv1D(embed_dim, intermediate_size)
        self.act = ACT2FN['gelu_new']
        self.dropout = nn.Dropout(0.1)


class GPT2Attention(nn.Module):
    def __init__(self, embed_dim, max_positions=8):
        super().__init__()
        self.register_buffer(
            "bias",
            torch.tril(torch.ones((max_positions, max_positions), dtype=torch.bool)).view(1, 1, max_positions, max_positions),
            persistent=False,
        )
        self.register_buffer("masked_bias", torch.tensor(-1e4), persistent=True)
        self.c_attn = Conv1D(3 * embed_dim, embed_dim)
        self.c_proj = Conv1D(embed_dim, embed_dim)


class GPT2Block(nn.Module):
    def __init__(self, hidden_size=6):
        super().__init__()
        inner_dim = 4 * hidden_size
        self.ln_1 = nn.LayerNorm(hidden_size, eps=1e-5)
        self.attn = GPT2Attention(hidden_size)
        self.ln_2 = nn.LayerNorm(hidden_size, eps=1e-5)
        self.mlp = GPT2MLP(inner_dim, hidden_size)
