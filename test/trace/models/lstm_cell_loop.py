import torch
import torch.nn as nn


class Decoder(nn.Module):
    def __init__(self, features=4, hidden=5, steps=3):
        super().__init__()
        self.cell = nn.LSTMCell(features, hidden)
        self.gru = nn.GRUCell(hidden, hidden)
        self.out = nn.Linear(hidden, features)
        self.steps, self.hidden = steps, hidden

    def forward(self, x):
        h = x.new_zeros(x.size(0), self.hidden)
        c = torch.zeros_like(h)
        outputs = []
        for _ in range(self.steps):
            h, c = self.cell(x, (h, c))
            g = self.gru(h, c)
            x = self.out(g)
            outputs.append(x)
        return torch.stack(outputs, dim=1)
