import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(3, 3)
        self.c = None
        self.c = nn.Linear(4, 4)
        self.b = None
        self.d = nn.Linear(5, 5)
        del self.d
        self.e = nn.Linear(6, 6, bias=False)
        self.a = nn.Linear(7, 7)  # <- a
        self.list_not_registered = [nn.Linear(8, 8)]
        self.dict_not_registered = {'x': nn.Linear(9, 9)}
        self.add_module('none', None)
