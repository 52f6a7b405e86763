from blocks.residual import Residual
