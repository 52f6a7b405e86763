import torch.nn as nn
import other


class A(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = other.B()
        self.fc = nn.Linear(2, 2)
