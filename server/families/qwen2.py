"""Qwen2: Llama with biases on queries, keys and values, and windows in the upper layers where the configuration asks for them."""
from llama import LlamaConfig, LlamaForCausalLM, LlamaModel


class Qwen2Config(LlamaConfig):
    def __init__(self, vocab_size=151936, intermediate_size=22016, num_key_value_heads=32, max_position_embeddings=32768, use_sliding_window=False,
                 sliding_window=4096, max_window_layers=28, layer_types=None, **others):
        super().__init__(vocab_size=vocab_size, intermediate_size=intermediate_size, num_key_value_heads=num_key_value_heads,
                         max_position_embeddings=max_position_embeddings, **others)
        self.qkv_bias, self.out_bias = True, False
        if use_sliding_window and sliding_window is not None:
            kinds = layer_types or ["sliding_attention" if i >= max_window_layers else "full_attention" for i in range(self.num_hidden_layers)]
            self.windows = [sliding_window if kind == "sliding_attention" else None for kind in kinds]


class Qwen2Model(LlamaModel):
    def __init__(self, config: Qwen2Config):
        super().__init__(config)


class Qwen2ForCausalLM(LlamaForCausalLM):
    def __init__(self, config: Qwen2Config):
        super().__init__(config)
