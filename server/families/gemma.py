"""Gemma 1, 2 and 3 (text): norms stored as differences from one, scaled embeddings; since 2 norms around both halves of a layer, windows,
soft caps; since 3 normed queries and keys, and other rotary frequencies in the layers with a window."""
import torch
import torch.nn as nn

from decoder import GatedMLP, RMSNorm, attend, causal_mask, split_heads
from rotary import RotaryEmbedding, rotate


class GemmaConfig:
    def __init__(self, vocab_size=256000, hidden_size=3072, intermediate_size=24576, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=16,
                 head_dim=256, hidden_act="gelu_pytorch_tanh", hidden_activation=None, max_position_embeddings=8192, rms_norm_eps=1e-6, rope_theta=10000.0,
                 rope_scaling=None, rope_parameters=None, attention_bias=False, tie_word_embeddings=True, use_bidirectional_attention=False, **others):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads, self.num_key_value_heads = num_hidden_layers, num_attention_heads, num_key_value_heads
        # The first published configurations say "gelu"; the models were trained with its tanh form.
        self.head_dim, self.activation = head_dim, hidden_activation or ("gelu_pytorch_tanh" if hidden_act == "gelu" else hidden_act)
        self.max_position_embeddings, self.rms_norm_eps = max_position_embeddings, rms_norm_eps
        self.rope_theta, self.rope_scaling, self.rope_parameters = rope_theta, rope_scaling, rope_parameters
        self.partial_rotary_factor, self.original_max_position_embeddings = 1.0, None
        self.attention_bias, self.tie_word_embeddings = attention_bias, tie_word_embeddings
        self.scalar, self.attention_cap, self.final_cap = head_dim, None, None
        self.use_bidirectional_attention = use_bidirectional_attention
        self.outer_norms, self.qk_norm, self.local_theta = False, False, None
        self.windows = [None for _ in range(num_hidden_layers)]


class Gemma2Config(GemmaConfig):
    def __init__(self, hidden_size=2304, intermediate_size=9216, num_hidden_layers=26, num_attention_heads=8, num_key_value_heads=4, query_pre_attn_scalar=256,
                 sliding_window=4096, layer_types=None, final_logit_softcapping=30.0, attn_logit_softcapping=50.0, **others):
        super().__init__(hidden_size=hidden_size, intermediate_size=intermediate_size, num_hidden_layers=num_hidden_layers,
                         num_attention_heads=num_attention_heads, num_key_value_heads=num_key_value_heads, **others)
        self.scalar, self.attention_cap, self.final_cap = query_pre_attn_scalar, attn_logit_softcapping, final_logit_softcapping
        self.outer_norms = True
        kinds = layer_types or ["full_attention" if i % 2 else "sliding_attention" for i in range(num_hidden_layers)]
        self.windows = [sliding_window if kind == "sliding_attention" else None for kind in kinds]


class Gemma3TextConfig(Gemma2Config):
    def __init__(self, vocab_size=262208, max_position_embeddings=131072, rope_theta=1000000.0, rope_local_base_freq=10000.0, num_hidden_layers=26,
                 layer_types=None, sliding_window_pattern=6, final_logit_softcapping=None, attn_logit_softcapping=None, **others):
        pattern = sliding_window_pattern or 6
        kinds = layer_types or ["sliding_attention" if (i + 1) % pattern else "full_attention" for i in range(num_hidden_layers)]
        super().__init__(vocab_size=vocab_size, max_position_embeddings=max_position_embeddings, rope_theta=rope_theta, num_hidden_layers=num_hidden_layers,
                         layer_types=kinds, final_logit_softcapping=final_logit_softcapping, attn_logit_softcapping=attn_logit_softcapping, **others)
        self.qk_norm, self.local_theta = True, rope_local_base_freq


class LocalRope:
    """What the layers with a window turn by: no scaling of older configurations reaches them."""

    def __init__(self, config):
        self.rope_theta, self.rope_parameters = config.local_theta, config.rope_parameters
        self.rope_scaling, self.partial_rotary_factor = None, 1.0
        self.max_position_embeddings, self.original_max_position_embeddings = config.max_position_embeddings, None


class GemmaAttention(nn.Module):
    def __init__(self, config, window):
        super().__init__()
        size, bias = config.head_dim, config.attention_bias
        self.size, self.window, self.scale, self.cap = size, window, config.scalar ** -0.5, config.attention_cap
        self.q_proj = nn.Linear(config.hidden_size, config.num_attention_heads * size, bias=bias)
        self.k_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size, bias=bias)
        self.v_proj = nn.Linear(config.hidden_size, config.num_key_value_heads * size, bias=bias)
        self.o_proj = nn.Linear(config.num_attention_heads * size, config.hidden_size, bias=bias)
        self.qk_norm = config.qk_norm
        if config.qk_norm:
            self.q_norm = RMSNorm(size, config.rms_norm_eps, offset=1.0)
            self.k_norm = RMSNorm(size, config.rms_norm_eps, offset=1.0)

    def forward(self, x, cos, sin, mask):
        q, k, v = split_heads(self.q_proj(x), self.size), split_heads(self.k_proj(x), self.size), split_heads(self.v_proj(x), self.size)
        if self.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        return self.o_proj(attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, self.scale, self.cap))


class GemmaDecoderLayer(nn.Module):
    def __init__(self, config, window):
        super().__init__()
        self.self_attn = GemmaAttention(config, window)
        self.mlp = GatedMLP(config, config.activation)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, offset=1.0)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, offset=1.0)
        self.outer_norms = config.outer_norms
        if config.outer_norms:
            self.pre_feedforward_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, offset=1.0)
            self.post_feedforward_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, offset=1.0)

    def forward(self, x, cos, sin, mask):
        attended = self.self_attn(self.input_layernorm(x), cos, sin, mask)
        if not self.outer_norms:
            x = x + attended
            return x + self.mlp(self.post_attention_layernorm(x))
        x = x + self.post_attention_layernorm(attended)
        return x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))


class GemmaModel(nn.Module):
    def __init__(self, config: GemmaConfig):
        super().__init__()
        if config.use_bidirectional_attention:
            raise ValueError("not built in: two-way attention")
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([GemmaDecoderLayer(config, window) for window in config.windows])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, offset=1.0)
        self.rotary_emb = RotaryEmbedding(config, config.head_dim, "full_attention")
        self.local = config.local_theta is not None
        if self.local:
            self.rotary_emb_local = RotaryEmbedding(LocalRope(config), config.head_dim, "sliding_attention")
        self.scale = config.hidden_size ** 0.5
        self.window = max([window or 0 for window in config.windows])

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids) * self.scale
        length = input_ids.shape[1]
        cos, sin = self.rotary_emb(length)
        near_cos, near_sin = self.rotary_emb_local(length) if self.local else (cos, sin)
        mask = causal_mask(length)
        near = causal_mask(length, self.window) if self.window else mask
        for layer in self.layers:
            x = layer(x, near_cos, near_sin, near) if layer.self_attn.window else layer(x, cos, sin, mask)
        return self.norm(x)


class GemmaForCausalLM(nn.Module):
    def __init__(self, config: GemmaConfig):
        super().__init__()
        self.model = GemmaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.cap = config.final_cap

    def forward(self, input_ids):
        logits = self.lm_head(self.model(input_ids))
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


class Gemma2Model(GemmaModel):
    def __init__(self, config: Gemma2Config):
        super().__init__(config)


class Gemma2ForCausalLM(GemmaForCausalLM):
    def __init__(self, config: Gemma2Config):
        super().__init__(config)


class Gemma3TextModel(GemmaModel):
    def __init__(self, config: Gemma3TextConfig):
        super().__init__(config)


class Gemma3ForCausalLM(GemmaForCausalLM):
    def __init__(self, config: Gemma3TextConfig):
        super().__init__(config)
