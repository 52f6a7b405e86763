import itertools
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, count, width=4):
        super().__init__()
        self.pairs = nn.ModuleList()
        for _, _ in itertools.combinations(range(count), 2):
            self.pairs.append(nn.Linear(width, width))  # <- pairs.*
        self.orders = nn.ModuleList([nn.Linear(width, 3) for _ in itertools.permutations(range(count), 2)])
        self.grid = nn.ModuleList([nn.Linear(width, b) for a, b in itertools.product(range(count), (2,))])
        self.chained = nn.ModuleList([nn.Linear(n, width) for n in itertools.chain([7], [8 for _ in range(count)], [9])])
        self.fixed = nn.ModuleList([nn.Linear(a + b, c) for a, b, c in itertools.combinations([1, 2, 3, 4], 3)])
        self.turned = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.permutations([1, 2, 3], 2)])
