import torch
import torch.nn as nn


class CRNN(nn.Module):
    def __init__(self, n_class=6):
        super().__init__()
        cnn = nn.Sequential()
        for i, (a, b) in enumerate([(1, 4), (4, 6)]):
            cnn.add_module(f"conv{i}", nn.Conv2d(a, b, 3, 1, 1))
            cnn.add_module(f"relu{i}", nn.ReLU(True))
            cnn.add_module(f"pool{i}", nn.MaxPool2d(2, 2))
        self.cnn = cnn
        self.rnn = nn.LSTM(6 * 4, 5, bidirectional=True)
        self.embedding = nn.Linear(10, n_class)

    def forward(self, x):
        conv = self.cnn(x)
        b, c, h, w = conv.size()
        conv = conv.reshape(b, c * h, w).permute(2, 0, 1)
        recurrent, _ = self.rnn(conv)
        T, b, h = recurrent.size()
        out = self.embedding(recurrent.view(T * b, h))
        return out.view(T, b, -1).log_softmax(2)
