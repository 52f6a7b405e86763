"""Phi 3 and 4: Llama's layers with the projections of queries, keys and values in one matrix, and gate and up in another."""
import torch.nn as nn

from decoder import RMSNorm, activation, attend, causal_mask, split_heads
from rotary import RotaryEmbedding, rotate


class Phi3Config:
    def __init__(self, vocab_size=32064, hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=None,
                 hidden_act="silu", max_position_embeddings=4096, original_max_position_embeddings=4096, rms_norm_eps=1e-5, tie_word_embeddings=False,
                 rope_theta=10000.0, rope_scaling=None, rope_parameters=None, partial_rotary_factor=1.0, sliding_window=None, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.head_dim = hidden_size // num_attention_heads
        self.hidden_act, self.rms_norm_eps = hidden_act, rms_norm_eps
        self.max_position_embeddings, self.original_max_position_embeddings = max_position_embeddings, original_max_position_embeddings
        self.rope_theta, self.rope_scaling, self.rope_parameters = rope_theta, rope_scaling, rope_parameters
        self.partial_rotary_factor, self.sliding_window, self.tie_word_embeddings = partial_rotary_factor, sliding_window, tie_word_embeddings


class Phi3Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.head_dim
        self.wide, self.narrow = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
        self.qkv_proj = nn.Linear(config.hidden_size, self.wide + 2 * self.narrow, bias=False)
        self.o_proj = nn.Linear(self.wide, config.hidden_size, bias=False)

    def forward(self, x, cos, sin, mask):
        q, k, v = self.qkv_proj(x).split([self.wide, self.narrow, self.narrow], dim=-1)
        q, k, v = split_heads(q, self.size), split_heads(k, self.size), split_heads(v, self.size)
        return self.o_proj(attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, self.size ** -0.5))


class Phi3MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation_fn = activation(config.hidden_act)

    def forward(self, x):
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(up * self.activation_fn(gate))


class Phi3DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn = Phi3Attention(config)
        self.mlp = Phi3MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Phi3Model(nn.Module):
    def __init__(self, config: Phi3Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([Phi3DecoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = RotaryEmbedding(config, config.head_dim)
        self.window = config.sliding_window

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        length = input_ids.shape[1]
        cos, sin = self.rotary_emb(length)
        mask = causal_mask(length, self.window)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)


class Phi3ForCausalLM(nn.Module):
    def __init__(self, config: Phi3Config):
        super().__init__()
        self.model = Phi3Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids):
        return self.lm_head(self.model(input_ids))
