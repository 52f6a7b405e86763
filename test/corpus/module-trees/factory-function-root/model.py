from torch import nn


class Net(nn.Module):
    def __init__(self, width, depth, num_classes):
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.blocks = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))
        self.head = nn.Linear(width, num_classes)


def _create(variant, **kwargs):
    presets = {
        'tiny': dict(width=4, depth=1),
        'base': dict(width=8, depth=3),
    }
    args = dict(presets[variant])
    args.update(kwargs)
    return Net(**args)


def efficient_tiny(pretrained=False, num_classes=1000, **kwargs):
    model = _create('tiny', num_classes=num_classes, **kwargs)
    if pretrained:
        raise RuntimeError('no weights')
    model.default_cfg = {'input_size': (3, 224, 224)}
    return model
