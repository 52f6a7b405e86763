import torch.nn as nn


class Base(nn.Module):
    def __init__(self, n):
        nn.Module.__init__(self)
        self.fc = nn.Linear(n, n)


class Net(Base):
    def __init__(self):
        Base.__init__(self, 4)
        super(Net, self).__setattr__('extra', nn.Linear(4, 1))
        self._build()

    def _build(self):
        self.out = nn.Linear(4, 2)
        self._modules['direct'] = nn.Linear(2, 2)
