"""A language model over words that is handed its state."""
import torch.nn.functional as F
from torch import nn


class WordLM(nn.Module):
    def __init__(self, vocab=20, width=8, hidden=8, layers=2):
        super().__init__()
        self.encoder = nn.Embedding(vocab, width)
        self.rnn = nn.LSTM(width, hidden, layers, batch_first=True)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return F.log_softmax(self.decoder(output), dim=-1), hidden
