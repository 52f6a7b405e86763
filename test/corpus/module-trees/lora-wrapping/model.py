import math
import torch
import torch.nn as nn


class LoRALayer(nn.Module):
    def __init__(self, base_layer: nn.Linear, r: int = 2, alpha: int = 4):
        super().__init__()
        self.base_layer = base_layer
        for p in self.base_layer.parameters():
            p.requires_grad = False
        self.lora_A = nn.Linear(base_layer.in_features, r, bias=False)
        self.lora_B = nn.Linear(r, base_layer.out_features, bias=False)
        self.scaling = alpha / r
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)


class LoRALinear(nn.Linear):
    def __init__(self, in_features, out_features, r=0, lora_alpha=1, **kwargs):
        nn.Linear.__init__(self, in_features, out_features, **kwargs)
        self.r = r
        if r > 0:
            self.lora_A = nn.Parameter(self.weight.new_zeros((r, in_features)))
            self.lora_B = nn.Parameter(self.weight.new_zeros((out_features, r)))
            self.weight.requires_grad = False


class LoraModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = LoRALayer(nn.Linear(8, 6))
        self.k_proj = LoRALayer(nn.Linear(8, 6, bias=False), r=1)
        self.v_proj = LoRALinear(8, 6, r=2)
        self.o_proj = LoRALinear(6, 8, bias=False)
