import numpy as np
import torch
import torch.nn as nn


def layer_init(layer, std=np.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, n_actions=6):
        super().__init__()
        self.network = nn.Sequential(
            layer_init(nn.Conv2d(4, 8, 8, stride=4)),  # <- network.0
            nn.ReLU(),
            layer_init(nn.Conv2d(8, 16, 4, stride=2)),
            nn.ReLU(),
            nn.Flatten(),
            layer_init(nn.Linear(16 * 9 * 9, 32)),
            nn.ReLU(),
        )
        self.actor = layer_init(nn.Linear(32, n_actions), std=0.01)  # <- actor
        self.critic = layer_init(nn.Linear(32, 1), std=1)
