import torch
import torch.nn as nn


class GRUNet(nn.Module):
    def __init__(self, input_size=5, hidden_size=6):
        super().__init__()
        self.hidden_size = hidden_size
        self.gru = nn.GRU(input_size, hidden_size, 2, batch_first=True)
        self.rnn = nn.RNN(hidden_size, 4, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        h0 = torch.zeros(2, x.size(0), self.hidden_size).to(x.device)
        out, _ = self.gru(x, h0)
        out, h = self.rnn(out)
        return self.out(out[:, -1, :])
