import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = {'small': 2, 'large': 5}
        self.heads = nn.ModuleDict({f'{k}_head': nn.Linear(4, v) for k, v in sizes.items()})
        self.by_level = nn.ModuleDict({str(l): nn.ModuleList([nn.Linear(l + 1, 2) for _ in range(l)]) for l in range(3)})
        self.grid = nn.ModuleList([nn.ModuleList([nn.Linear(i + 1, j + 1, bias=False) for j in range(2)]) for i in range(2)])
        self.flat = nn.ModuleList([nn.Linear(i, j, bias=False) for i in range(1, 4) for j in range(1, 4) if i < j])
