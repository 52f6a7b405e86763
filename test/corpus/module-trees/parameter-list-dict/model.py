import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.params = nn.ParameterList([nn.Parameter(torch.randn(4, 4 + i)) for i in range(3)])
        self.named = nn.ParameterDict({
            'left': nn.Parameter(torch.randn(5, 2)),
            'right': nn.Parameter(torch.randn(2)),
        })
        self.more = nn.ParameterList()
        for _ in range(2):
            self.more.append(nn.Parameter(torch.zeros(3)))
        self.choices = nn.ModuleDict({'conv': nn.Conv2d(1, 2, 3), 'pool': nn.MaxPool2d(3)})
        self.activations = nn.ModuleDict([['lrelu', nn.LeakyReLU()], ['prelu', nn.PReLU()]])
        self.tasks = nn.ModuleDict()
        for task in ['seg', 'depth']:
            self.tasks[task] = nn.Linear(4, 1)
        self.tasks.update({'normal': nn.Linear(4, 3)})
