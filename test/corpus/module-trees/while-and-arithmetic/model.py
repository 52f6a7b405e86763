import math
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, size=32, ch=2):
        super().__init__()
        layers = []
        while size > 4:
            layers.append(nn.Conv2d(ch, min(ch * 2, 8), 4, 2, 1))
            ch = min(ch * 2, 8)
            size //= 2
        self.down = nn.Sequential(*layers)
        self.out_dim = ch * size ** 2
        self.fc = nn.Linear(self.out_dim, int(math.ceil(math.sqrt(self.out_dim))))
        depth = int(math.log2(64)) - 2
        for d in range(depth, 0, -1):
            self.add_module('up%d' % d, nn.Linear(d, d + 1, bias=bool(d % 2)))
        k = max(1, round(2.5 * 3) | 1)
        self.k = nn.Conv1d(1, 1, k if k % 2 else k + 1, bias=False)
        total = sum(x * 2 for x in range(4)) - abs(-3) + divmod(7, 2)[1]
        self.total = nn.Linear(total, len(str(total)))
