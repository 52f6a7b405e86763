from torch import nn


class Net(nn.Module):
    def __init__(self, widths=(4, 6, 8)):
        super().__init__()
        self.n = len(widths)
        prev = 3
        for idx, w in enumerate(widths):
            setattr(self, 'conv' + str(idx + 1), nn.Conv2d(prev, w, 3))  # <- conv1 conv3
            setattr(self, 'bn%d' % (idx + 1), nn.BatchNorm2d(w))
            prev = w
        for name in ('left', 'right'):
            self.add_module('{}_head'.format(name), nn.Linear(prev, 2))  # <- left_head right_head
        self.register_module('tail', nn.Linear(2, 1))  # <- tail

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, f'bn{i + 1}')(getattr(self, f'conv{i + 1}')(x))
        return x
