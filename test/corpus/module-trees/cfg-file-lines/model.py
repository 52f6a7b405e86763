import json
import os

import torch.nn as nn

HERE = os.path.dirname(__file__)


def blocks(path):
    file = open(path, 'r')
    lines = file.read().split('\n')
    lines = [x.strip() for x in lines if x and not x.startswith('#')]
    found = []
    for line in lines:
        if line.startswith('['):
            found.append({'type': line[1:-1].rstrip()})
        else:
            key, value = line.split('=')
            found[-1][key.rstrip()] = value.strip()
    return found


class Darknet(nn.Module):
    def __init__(self, config_path=os.path.join(HERE, 'net.cfg')):
        super().__init__()
        with open(os.path.join(HERE, 'extra.json')) as f:
            extra = json.load(f)
        defs = blocks(config_path)
        width = int(defs.pop(0)['channels'])
        self.module_list = nn.ModuleList()
        for i, d in enumerate(defs):
            stage = nn.Sequential()
            if d['type'] == 'convolutional':
                bn = int(d['batch_normalize'])
                filters = int(d['filters'])
                stage.add_module(f'conv_{i}', nn.Conv2d(width, filters, int(d['size']), bias=not bn))
                if bn:
                    stage.add_module(f'batch_norm_{i}', nn.BatchNorm2d(filters))
                width = filters
            self.module_list.append(stage)
        self.fc = nn.Linear(width, extra['heads'][-1]['out'])
