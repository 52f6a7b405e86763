import torch.nn as nn


class FPN(nn.Module):
    def __init__(self, in_channels, out_channels, extra=True):
        super().__init__()
        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        self.lateral_names = []
        for idx, c in enumerate(in_channels, start=2):
            if c == 0:
                continue
            self.inner_blocks.append(nn.Conv2d(c, out_channels, 1))
            self.layer_blocks.append(nn.Conv2d(out_channels, out_channels, 3, padding=1))
            name = 'fpn_lateral{}'.format(idx)
            self.add_module(name, nn.Conv2d(c, out_channels, 1, bias=False))
            self.lateral_names.append(name)
        for m in self.children():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_uniform_(m.weight, a=1)
        if extra:
            self.p6, self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1), nn.Conv2d(out_channels, out_channels, 3, 2, 1)
