import torch
import torch.nn as nn
import torch.nn.functional as F


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3))
        self.fc = nn.Linear(36, 6)
        self.head = nn.Bilinear(6, 6, 2)

    def forward_once(self, x):
        return self.fc(self.features(x).flatten(start_dim=1))

    def forward(self, left, right):
        a, b = self.forward_once(left), self.forward_once(right)
        distance = torch.sqrt(((a - b) ** 2).sum(1) + 1e-8)
        return self.head(a, b), distance, F.cosine_similarity(a, b)
