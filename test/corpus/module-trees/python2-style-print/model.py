import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.a = nn.Linear(2, 2)
        print 'building %d' % 2
        self.b = nn.Linear(2, 3)
