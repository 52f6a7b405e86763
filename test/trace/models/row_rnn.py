"""Digits read row by row: a recurrent net over the rows of a square picture."""
import torch
from torch import nn


class RowReader(nn.Module):
    def __init__(self, edge=12, hidden=6, classes=4):
        super().__init__()
        self.edge = edge
        self.rnn = nn.LSTM(input_size=edge, hidden_size=hidden, batch_first=True)
        self.batchnorm = nn.BatchNorm1d(hidden)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, input):
        rows = input.reshape(-1, self.edge, self.edge)
        output, _ = self.rnn(rows)
        return self.fc(self.batchnorm(output[:, -1, :]))
