"""GPT-NeoX (Pythia): attention and MLP side by side, queries, keys and values of each head next to each other in one matrix."""
import torch.nn as nn

from decoder import activation, attend, causal_mask, split_heads
from rotary import RotaryEmbedding, rotate


class GPTNeoXConfig:
    def __init__(self, vocab_size=50432, hidden_size=6144, num_hidden_layers=44, num_attention_heads=64, intermediate_size=24576, hidden_act="gelu",
                 rotary_pct=0.25, rotary_emb_base=10000, max_position_embeddings=2048, layer_norm_eps=1e-5, tie_word_embeddings=False,
                 use_parallel_residual=True, rope_scaling=None, rope_parameters=None, attention_bias=True, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.hidden_act, self.layer_norm_eps, self.max_position_embeddings = hidden_act, layer_norm_eps, max_position_embeddings
        self.rope_theta, self.rope_scaling, self.rope_parameters = rotary_emb_base, rope_scaling, rope_parameters
        self.partial_rotary_factor, self.original_max_position_embeddings = rotary_pct, None
        self.use_parallel_residual, self.attention_bias, self.tie_word_embeddings = use_parallel_residual, attention_bias, tie_word_embeddings


class GPTNeoXAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.hidden_size // config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.attention_bias)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)

    def forward(self, x, cos, sin, mask):
        q, k, v = split_heads(self.query_key_value(x), 3 * self.size).chunk(3, dim=-1)
        return self.dense(attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, self.size ** -0.5))


class GPTNeoXMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.intermediate_size)
        self.dense_4h_to_h = nn.Linear(config.intermediate_size, config.hidden_size)
        self.act = activation(config.hidden_act)

    def forward(self, x):
        return self.dense_4h_to_h(self.act(self.dense_h_to_4h(x)))


class GPTNeoXLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = GPTNeoXAttention(config)
        self.mlp = GPTNeoXMLP(config)
        self.use_parallel_residual = config.use_parallel_residual

    def forward(self, x, cos, sin, mask):
        attended = x + self.attention(self.input_layernorm(x), cos, sin, mask)
        return attended + self.mlp(self.post_attention_layernorm(x if self.use_parallel_residual else attended))


class GPTNeoXModel(nn.Module):
    def __init__(self, config: GPTNeoXConfig):
        super().__init__()
        self.embed_in = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([GPTNeoXLayer(config) for _ in range(config.num_hidden_layers)])
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.rotary_emb = RotaryEmbedding(config, config.hidden_size // config.num_attention_heads)

    def forward(self, input_ids):
        x = self.embed_in(input_ids)
        length = input_ids.shape[1]
        cos, sin = self.rotary_emb(length)
        mask = causal_mask(length)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.final_layer_norm(x)


class GPTNeoXForCausalLM(nn.Module):
    def __init__(self, config: GPTNeoXConfig):
        super().__init__()
        self.gpt_neox = GPTNeoXModel(config)
        self.embed_out = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.embed_out.weight = self.gpt_neox.embed_in.weight

    def forward(self, input_ids):
        return self.embed_out(self.gpt_neox(input_ids))
