"""Llama, and the families that differ from it by a switch: biases, windows, norms of queries and keys (mistral.py, qwen2.py, qwen3.py)."""
import torch.nn as nn

from decoder import GatedMLP, RMSNorm, attend, causal_mask, split_heads
from rotary import RotaryEmbedding, rotate


class LlamaConfig:
    def __init__(self, vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=None,
                 head_dim=None, hidden_act="silu", max_position_embeddings=2048, rms_norm_eps=1e-6, tie_word_embeddings=False, rope_theta=10000.0,
                 rope_scaling=None, rope_parameters=None, partial_rotary_factor=1.0, attention_bias=False, mlp_bias=False,
                 original_max_position_embeddings=None, num_labels=2, id2label=None, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.head_dim = head_dim or hidden_size // num_attention_heads
        self.hidden_act, self.max_position_embeddings, self.rms_norm_eps = hidden_act, max_position_embeddings, rms_norm_eps
        self.tie_word_embeddings = tie_word_embeddings
        self.rope_theta, self.rope_scaling, self.rope_parameters = rope_theta, rope_scaling, rope_parameters
        self.partial_rotary_factor, self.original_max_position_embeddings = partial_rotary_factor, original_max_position_embeddings
        self.qkv_bias = self.out_bias = attention_bias
        self.mlp_bias = mlp_bias
        self.qk_norm = False
        self.windows = [None for _ in range(num_hidden_layers)]
        self.num_labels = len(id2label) if id2label else num_labels


class LlamaAttention(nn.Module):
    def __init__(self, config, window):
        super().__init__()
        size = config.head_dim
        self.size, self.window = size, window
        self.q_proj = nn.Linear(config.hidden_size, config.num_attention_heads * size, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size, bias=config.qkv_bias)
        self.o_proj = nn.Linear(config.num_attention_heads * size, config.hidden_size, bias=config.out_bias)
        self.qk_norm = config.qk_norm
        if config.qk_norm:
            self.q_norm = RMSNorm(size, config.rms_norm_eps)
            self.k_norm = RMSNorm(size, config.rms_norm_eps)

    def forward(self, x, cos, sin, mask):
        q, k, v = split_heads(self.q_proj(x), self.size), split_heads(self.k_proj(x), self.size), split_heads(self.v_proj(x), self.size)
        if self.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        return self.o_proj(attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, self.size ** -0.5))


class LlamaDecoderLayer(nn.Module):
    def __init__(self, config, window):
        super().__init__()
        self.self_attn = LlamaAttention(config, window)
        self.mlp = GatedMLP(config, config.hidden_act, config.mlp_bias)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([LlamaDecoderLayer(config, window) for window in config.windows])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = RotaryEmbedding(config, config.head_dim)
        self.window = max([window or 0 for window in config.windows])

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        length = input_ids.shape[1]
        cos, sin = self.rotary_emb(length)
        mask = causal_mask(length)
        near = causal_mask(length, self.window) if self.window else mask
        for layer in self.layers:
            x = layer(x, cos, sin, near if layer.self_attn.window else mask)
        return self.norm(x)


class LlamaForCausalLM(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids):
        return self.lm_head(self.model(input_ids))
