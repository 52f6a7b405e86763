"""torchvision.models: the networks that are most often taken as backbones."""
from .alexnet import *
from .densenet import *
from .mobilenetv2 import *
from .resnet import *
from .squeezenet import *
from .vgg import *
