import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n=6):
        super().__init__()
        self.register_buffer('mean', torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer('std', torch.Tensor([0.229, 0.224, 0.225]).reshape(1, -1, 1, 1), persistent=True)
        self.register_buffer('cache', torch.zeros(n, n), persistent=False)
        self.register_buffer('step', torch.zeros(1, dtype=torch.long))
        self.register_buffer('nothing', None)
        self.register_buffer('steps', torch.tensor(0))
        self.fc = nn.Linear(n, 2)
        inv_freq = 1.0 / (10000 ** (torch.arange(0, n, 2).float() / n))
        self.register_buffer('inv_freq', inv_freq)
        betas = torch.linspace(1e-4, 0.02, 10)
        alphas = 1. - betas
        self.register_buffer('alphas_cumprod', torch.cumprod(alphas, axis=0))
