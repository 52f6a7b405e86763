import torch.nn as nn
from torchvision import models


class Net(nn.Module):
    def __init__(self, num_classes=5):
        super().__init__()
        self.backbone = models.regnet_y_400mf(pretrained=True)  # <- backbone
        self.backbone.fc = nn.Identity()
        self.head = nn.Linear(440, num_classes)  # <- head
