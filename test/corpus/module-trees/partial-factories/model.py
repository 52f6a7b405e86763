import functools
from functools import partial
import torch.nn as nn

Norm = partial(nn.GroupNorm, 2, eps=1e-6)
Conv3 = functools.partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)


def get_norm_layer(norm_type='instance'):
    if norm_type == 'batch':
        norm_layer = functools.partial(nn.BatchNorm2d, affine=True, track_running_stats=True)
    elif norm_type == 'instance':
        norm_layer = functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False)
    elif norm_type == 'none':
        def norm_layer(x):
            return nn.Identity()
    else:
        raise NotImplementedError('normalization layer [%s] is not found' % norm_type)
    return norm_layer


class ResnetBlock(nn.Module):
    def __init__(self, dim, norm_layer):
        super().__init__()
        if type(norm_layer) == functools.partial:
            use_bias = norm_layer.func == nn.InstanceNorm2d
        else:
            use_bias = norm_layer == nn.InstanceNorm2d
        self.conv_block = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3, bias=use_bias), norm_layer(dim), nn.ReLU(True))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Conv3(3, 4)
        self.n = Norm(4)
        self.b = Conv3(4, 8, kernel_size=5, bias=True)
        self.r = ResnetBlock(8, get_norm_layer())
        self.s = ResnetBlock(8, get_norm_layer('batch'))
        self.t = ResnetBlock(8, norm_layer=get_norm_layer('none'))
