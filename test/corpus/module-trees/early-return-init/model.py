import torch.nn as nn


class Net(nn.Module):
    def __init__(self, depth=2, headless=True):
        super().__init__()
        self.stem = nn.Linear(2, 2)
        for i in range(10):
            if i >= depth:
                break
            if i == 0:
                continue
            self.add_module('b%d' % i, nn.Linear(2, 2))
        else:
            self.never = nn.Linear(1, 1)
        if headless:
            return
        self.head = nn.Linear(2, 1)
