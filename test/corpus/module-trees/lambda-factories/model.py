from torch import nn

conv1x1 = lambda i, o, **kw: nn.Conv2d(i, o, 1, **kw)
ACT = {'relu': lambda: nn.ReLU(inplace=True), 'prelu': lambda n=1: nn.PReLU(n)}
NORM = {
    'batch': lambda c: nn.BatchNorm1d(c),
    'layer': lambda c: nn.LayerNorm(c),
    None: lambda c: nn.Identity(),
}


class Net(nn.Module):
    def __init__(self, norm='layer', act='prelu'):
        super().__init__()
        self.a = conv1x1(3, 5, bias=False)
        self.act = ACT[act]()
        self.n1 = NORM[norm](5)
        self.n2 = NORM[None](5)
        pick = (lambda n: nn.Linear(n, n)) if norm == 'layer' else (lambda n: nn.Identity())
        self.pick = pick(5)
        self.acts = nn.ModuleList(map(lambda n: ACT['prelu'](n), [2, 3]))
