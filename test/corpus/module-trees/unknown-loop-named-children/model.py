import torch.nn as nn


class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.stem = nn.Linear(3, 4)
        for i in range(depth):
            self.add_module(f'layer{i}', nn.Linear(4, 4))
        self.out = nn.Linear(4, 1)
