import torch.nn as nn
from torchvision import models


class Net(nn.Module):
    def __init__(self, num_classes=5):
        super().__init__()
        self.backbone = models.resnet18(pretrained=True)  # <- backbone
        self.backbone.fc = nn.Identity()
        self.head = nn.Linear(512, num_classes)  # <- head
