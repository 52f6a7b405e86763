import torch.nn as nn


class Tree(nn.Module):
    def __init__(self, levels=3, cin=2, cout=4, root_dim=0):
        super().__init__()
        if root_dim == 0:
            root_dim = 2 * cout
        if levels == 1:
            self.tree1 = nn.Conv2d(cin, cout, 3)
            self.tree2 = nn.Conv2d(cout, cout, 3)
            self.root = nn.Conv2d(root_dim, cout, 1)
        else:
            self.tree1 = Tree(levels - 1, cin, cout, root_dim=0)
            self.tree2 = Tree(levels - 1, cout, cout, root_dim=root_dim + cout)
        self.project = nn.Conv2d(cin, cout, 1, bias=False) if cin != cout else None
