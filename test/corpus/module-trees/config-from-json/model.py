import json
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim)


class Net(nn.Module):
    def __init__(self, path='config.json'):
        super().__init__()
        with open(path) as f:
            config = json.load(f)
        self.embed = nn.Embedding(config['vocab_size'], config['dim'])  # <- embed
        self.blocks = nn.ModuleList([Block(config['dim']) for _ in range(config['depth'])])  # <- blocks
        self.head = nn.Linear(config['dim'], 10)  # <- head
