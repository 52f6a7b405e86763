import torch.nn as nn

SETTINGS = {
    'base': {'dims': [4, 8], 'kw': {'bias': False}},
    'tiny': {'dims': [2], 'kw': {}},
}
SETTINGS['derived'] = {**SETTINGS['base'], 'dims': SETTINGS['base']['dims'] + [16]}
ALIASES = {k.upper(): k for k in SETTINGS}


class Net(nn.Module):
    def __init__(self, dims, kw=None, final=False, **unused):
        super().__init__()
        first, *rest = dims
        self.first = nn.Linear(3, first, **(kw or {}))
        self.rest = nn.ModuleList()
        prev = first
        for d in rest:
            self.rest.append(nn.Linear(prev, d, **kw))
            prev = d
        *_, last = dims
        self.last = nn.Linear(last, 1) if final else nn.Identity()


def make_model(name='DERIVED'):
    return Net(**SETTINGS[ALIASES[name]], final=True, extra=1)
