from typing import Any
import lightning as L
import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, latent_dim, img_shape):
        super().__init__()
        self.img_shape = img_shape
        size = 1
        for s in img_shape:
            size *= s
        self.model = nn.Sequential(nn.Linear(latent_dim, 12), nn.LeakyReLU(0.2, inplace=True), nn.Linear(12, size), nn.Tanh())


class Discriminator(nn.Module):
    def __init__(self, img_shape):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(img_shape[0] * img_shape[1] * img_shape[2], 8), nn.Linear(8, 1), nn.Sigmoid())


class GAN(L.LightningModule):
    def __init__(self, channels=1, width=4, height=4, latent_dim: int = 6, lr: float = 0.0002, **kwargs: Any):
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        data_shape = (channels, width, height)
        self.generator = Generator(latent_dim=self.hparams.latent_dim, img_shape=data_shape)
        self.discriminator = Discriminator(img_shape=data_shape)
        self.validation_z = torch.randn(8, self.hparams.latent_dim)
        self.example_input_array = torch.zeros(2, self.hparams.latent_dim)
