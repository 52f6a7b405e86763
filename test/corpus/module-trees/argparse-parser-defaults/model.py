import argparse
import torch.nn as nn


def get_args():
    parser = argparse.ArgumentParser(description='train')
    parser.add_argument('--hidden-dim', type=int, default=10)
    parser.add_argument('--num_layers', '-n', default=2, type=int)
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--no-norm', action='store_true')
    return parser.parse_args([])


class Net(nn.Module):
    def __init__(self, hidden_dim, num_layers, norm=True):
        super().__init__()
        self.inp = nn.Linear(4, hidden_dim)
        self.mid = nn.ModuleList([nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers)])
        self.norm = nn.LayerNorm(hidden_dim) if norm else None


def build():
    args = get_args()
    return Net(args.hidden_dim, args.num_layers, norm=not args.no_norm)
