import torch.nn as nn


def conv_factory(norm=True):
    def make(cin, cout, k=3):
        layers = [nn.Conv2d(cin, cout, k, padding=k // 2, bias=not norm)]
        if norm:
            layers.append(nn.BatchNorm2d(cout))
        return nn.Sequential(*layers)
    return make


class Net(nn.Module):
    def __init__(self, base=4):
        super().__init__()

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        make = conv_factory()
        plain = conv_factory(norm=False)
        self.stem = make(3, base)
        self.body = nn.Sequential(*[plain(base * 2 ** i, base * 2 ** (i + 1), k=1) for i in range(2)])
        self.model = nn.Sequential(
            *block(10, 16, normalize=False),
            *block(16, 32),
            nn.Linear(32, int(1 * 28 * 28 / 4)),  # <- model.5
            nn.Tanh()
        )
