import torch.nn as nn


class Net(nn.Module):
    def __init__(self, dims=(4, 8, 8)):
        super().__init__()
        self.seq = nn.Sequential()
        for i, (a, b) in enumerate(zip(dims, dims[1:])):
            self.seq.append(nn.Linear(a, b))
            if i < len(dims) - 2:
                self.seq.append(nn.ReLU())
        self.items = nn.ModuleList()
        self.items.extend([nn.Linear(2, 2), nn.Linear(3, 3)])
        self.items.extend(nn.Linear(k, 1) for k in (4, 5))
        self.items.insert(0, nn.Linear(9, 9))
        self.items += [nn.Dropout()]
        self.items[1] = nn.Linear(7, 7)
