import torch.nn as nn


class Registry:
    def __init__(self, name):
        self._name = name
        self._obj_map = {}

    def register(self, obj=None):
        if obj is None:
            def deco(func_or_class):
                self._obj_map[func_or_class.__name__] = func_or_class
                return func_or_class
            return deco
        self._obj_map[obj.__name__] = obj
        return obj

    def get(self, name):
        ret = self._obj_map.get(name)
        if ret is None:
            raise KeyError(f"No object named '{name}' found in '{self._name}' registry!")
        return ret


BACKBONES = Registry('backbone')
HEADS = Registry('head')


@BACKBONES.register()
class PlainBackbone(nn.Module):
    def __init__(self, channels=(4, 8)):
        super().__init__()
        chans = [3] + list(channels)
        for i, (a, b) in enumerate(zip(chans[:-1], chans[1:])):
            setattr(self, f'conv{i}', nn.Conv2d(a, b, 3, padding=1))  # <- backbone.conv0 backbone.conv1
        self.out_channels = chans[-1]


@HEADS.register()
class LinearHead(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.fc = nn.Linear(in_channels, num_classes)  # <- head.fc


class Detector(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        bcfg = dict(cfg['backbone'])
        self.backbone = BACKBONES.get(bcfg.pop('type'))(**bcfg)
        hcfg = dict(cfg['head'])
        self.head = HEADS.get(hcfg.pop('type'))(in_channels=self.backbone.out_channels, **hcfg)


CFG = {'backbone': {'type': 'PlainBackbone', 'channels': [6, 10]}, 'head': {'type': 'LinearHead', 'num_classes': 3}}


def make():
    return Detector(CFG)
