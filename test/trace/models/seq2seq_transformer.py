import torch
import torch.nn as nn


class Seq2Seq(nn.Module):
    def __init__(self, vocab=20, d=8):
        super().__init__()
        self.src_embed = nn.Embedding(vocab, d)
        self.tgt_embed = nn.Embedding(vocab, d)
        self.transformer = nn.Transformer(d, 2, 1, 2, 16, norm_first=True, batch_first=True)
        self.generator = nn.Linear(d, vocab)

    def forward(self, src, tgt):
        tgt_mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        out = self.transformer(self.src_embed(src), self.tgt_embed(tgt), tgt_mask=tgt_mask)
        return self.generator(out)
