import torch.nn as nn


class ConvBN(nn.Module):
    def __init__(self, *args, norm=True, **kwargs):
        super().__init__()
        kwargs.setdefault('bias', not norm)
        self.conv = nn.Conv2d(*args, **kwargs)  # <- a.conv b.conv
        self.bn = nn.BatchNorm2d(self.conv.out_channels) if norm else None


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        common = dict(kernel_size=3, padding=1)
        self.a = ConvBN(3, 8, **common)
        self.b = ConvBN(8, 4, norm=False, **{**common, 'kernel_size': 1, 'padding': 0})
        opts = {'in_features': 4, 'out_features': 2}
        self.c = nn.Linear(**opts)
        shape = (5, 6)
        self.d = nn.Linear(*shape, bias=False)
        self.e = nn.Linear(*shape[::-1])
