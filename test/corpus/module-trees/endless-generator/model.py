import torch.nn as nn


class Block(nn.Module):
    def __init__(self, width, freeze=0):
        super().__init__()
        self.used = 0

        def trainable():
            while True:
                index = self.used
                self.used += 1
                yield index >= freeze

        turns = trainable()
        self.conv0 = nn.Conv2d(width, width, 3, bias=next(turns))
        self.conv1 = nn.Conv2d(width, 2 * width, 3, bias=next(turns))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b0 = Block(4)
        self.b1 = Block(8)
