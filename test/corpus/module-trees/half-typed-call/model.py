import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)  # <- a
        self.b = nn.Linear(8, )  # <- b
