from .conv import *
from .attention import *
