"""Mistral: Llama whose every layer sees the last `sliding_window` positions only."""
from llama import LlamaConfig, LlamaForCausalLM, LlamaModel


class MistralConfig(LlamaConfig):
    def __init__(self, intermediate_size=14336, num_key_value_heads=8, max_position_embeddings=131072, sliding_window=4096, **others):
        super().__init__(intermediate_size=intermediate_size, num_key_value_heads=num_key_value_heads, max_position_embeddings=max_position_embeddings, **others)
        self.windows = [sliding_window for _ in range(self.num_hidden_layers)]


class MistralModel(LlamaModel):
    def __init__(self, config: MistralConfig):
        super().__init__(config)


class MistralForCausalLM(LlamaForCausalLM):
    def __init__(self, config: MistralConfig):
        super().__init__(config)
