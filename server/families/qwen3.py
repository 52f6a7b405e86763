"""Qwen3: Qwen2 with normed queries and keys, heads of a size of their own, and biases only where the configuration asks for them."""
from llama import LlamaForCausalLM, LlamaModel
from qwen2 import Qwen2Config


class Qwen3Config(Qwen2Config):
    def __init__(self, head_dim=128, attention_bias=False, **others):
        super().__init__(head_dim=head_dim, **others)
        self.qkv_bias = self.out_bias = attention_bias
        self.qk_norm = True


class Qwen3Model(LlamaModel):
    def __init__(self, config: Qwen3Config):
        super().__init__(config)


class Qwen3ForCausalLM(LlamaForCausalLM):
    def __init__(self, config: Qwen3Config):
        super().__init__(config)
