"""Phi 1 and 2: attention and MLP side by side on one normed input, biases everywhere, rotary embeddings on a part of each head."""
import torch.nn as nn

from decoder import activation, attend, causal_mask, split_heads
from rotary import RotaryEmbedding, rotate


class PhiConfig:
    def __init__(self, vocab_size=51200, hidden_size=2048, intermediate_size=8192, num_hidden_layers=24, num_attention_heads=32, num_key_value_heads=None,
                 hidden_act="gelu_new", max_position_embeddings=2048, layer_norm_eps=1e-5, tie_word_embeddings=False, rope_theta=10000.0, rope_scaling=None,
                 rope_parameters=None, partial_rotary_factor=0.5, qk_layernorm=False, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.head_dim = hidden_size // num_attention_heads
        self.hidden_act, self.max_position_embeddings, self.layer_norm_eps = hidden_act, max_position_embeddings, layer_norm_eps
        self.rope_theta, self.rope_scaling, self.rope_parameters = rope_theta, rope_scaling, rope_parameters
        self.partial_rotary_factor, self.original_max_position_embeddings = partial_rotary_factor, None
        self.qk_layernorm, self.tie_word_embeddings = qk_layernorm, tie_word_embeddings


class PhiAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = self.size = config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, config.num_attention_heads * size)
        self.k_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size)
        self.v_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size)
        self.dense = nn.Linear(config.num_attention_heads * size, config.hidden_size)
        self.qk_layernorm = config.qk_layernorm
        if config.qk_layernorm:
            self.q_layernorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
            self.k_layernorm = nn.LayerNorm(size, eps=config.layer_norm_eps)

    def forward(self, x, cos, sin, mask):
        q, k, v = split_heads(self.q_proj(x), self.size), split_heads(self.k_proj(x), self.size), split_heads(self.v_proj(x), self.size)
        if self.qk_layernorm:
            q, k = self.q_layernorm(q), self.k_layernorm(k)
        return self.dense(attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, self.size ** -0.5))


class PhiMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.activation_fn = activation(config.hidden_act)
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x):
        return self.fc2(self.activation_fn(self.fc1(x)))


class PhiDecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn = PhiAttention(config)
        self.mlp = PhiMLP(config)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x, cos, sin, mask):
        normed = self.input_layernorm(x)
        return self.self_attn(normed, cos, sin, mask) + self.mlp(normed) + x


class PhiModel(nn.Module):
    def __init__(self, config: PhiConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([PhiDecoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.rotary_emb = RotaryEmbedding(config, config.head_dim)
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        length = input_ids.shape[1]
        cos, sin = self.rotary_emb(length)
        mask = causal_mask(length)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.final_layernorm(x)


class PhiForCausalLM(nn.Module):
    def __init__(self, config: PhiConfig):
        super().__init__()
        self.model = PhiModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=True)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids):
        return self.lm_head(self.model(input_ids))
