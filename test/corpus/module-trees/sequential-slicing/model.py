import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))
        self.slice1 = nn.Sequential()
        self.slice2 = nn.Sequential()
        for x in range(2):
            self.slice1.add_module(str(x), features[x])
        for x in range(2, 5):
            self.slice2.add_module(str(x), features[x])
        self.tail = features[3:]
