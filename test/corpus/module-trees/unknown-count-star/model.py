import torch.nn as nn


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lin1 = nn.Linear(d, 2 * d)
        self.lin2 = nn.Linear(2 * d, d)


class Decoder(nn.Module):
    def __init__(self, num_layers, n_heads, depth):
        super().__init__()
        d = 8
        self.layers = nn.ModuleList([Layer(d) for _ in range(num_layers)])
        self.heads = nn.ModuleList()
        for i in range(n_heads):
            self.heads.append(nn.Linear(d, 2))
        blocks = []
        for _ in range(depth):
            blocks.append(nn.Linear(d, d, bias=False))
        self.seq = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(d)  # <- norm
