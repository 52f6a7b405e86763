import torch
import torch.nn as nn
from hydra.utils import instantiate


class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.encoder = torch.hub.load('facebookresearch/dino:main', 'dino_vits16')  # <- encoder
        self.decoder = instantiate(cfg.decoder)  # <- decoder
        self.head = nn.Linear(8, 3)  # <- head
