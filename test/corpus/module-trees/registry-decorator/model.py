from torch import nn

_MODELS = {}
_NORMS = {'bn': nn.BatchNorm2d, 'gn': lambda ch: nn.GroupNorm(4, ch), 'none': nn.Identity}


def register_model(name):
    def wrapper(cls):
        if name in _MODELS:
            raise KeyError(f'{name} registered twice')
        _MODELS[name] = cls
        return cls
    return wrapper


@register_model('tiny')
class TinyNet(nn.Module):
    def __init__(self, width=4, norm='bn'):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)  # <- stem
        self.norm = _NORMS[norm](width)
        self.head = nn.Linear(width, 2)


@register_model('wide')
class WideNet(TinyNet):
    def __init__(self, **kw):
        super().__init__(width=16, **kw)
        self.extra = nn.Linear(16, 16)  # <- extra


def create_model(name, **kwargs):
    return _MODELS[name](**kwargs)


def build_net():
    return create_model('wide', norm='gn')
