import torch.nn as nn


class Body(nn.Module):
    def __init__(self, vocab, width=6, depth=2):
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])


class Base(nn.Module):
    def __init__(self, n=1):
        super().__init__()
        self.fc = nn.Linear(n, n)


class Derived(Base):
    def __init__(self):
        super().__init__(2)
        self.more = nn.Linear(2, 2)


class WithHead(nn.Module):
    def __init__(self, body: Body, vocab, base: Base):
        super().__init__()
        self.body = body  # a Body it is, and which one is not known
        self.base = base  # may be a Derived
        self.head = nn.Linear(self.body.width, vocab)  # <- head

    def forward(self, x):
        return self.head(self.base(self.body(x)))
