import torch.nn as nn


class Net(nn.Module):
    def __init__(self, arch='conv3-16,conv5-8,fc-4', act='ReLU'):
        super().__init__()
        cin = 3
        for i, part in enumerate(arch.split(',')):
            kind, width = part.strip().split('-')
            if kind.startswith('conv'):
                k = int(kind[len('conv'):])
                self.add_module(f'{kind}_{i:02d}', nn.Conv2d(cin, int(width), k))
            elif kind.lower() == 'fc':
                setattr(self, '_'.join([kind, str(i)]), nn.Linear(cin, int(width)))
            cin = int(width)
        self.act = getattr(nn, act)(inplace=True)
        name = "{name}-{0}".format(2, name='block').replace('-', '_')
        self.add_module(name, nn.Linear(1, 1))
