# Findings from shapes and headers, suppressed lines, and a line with two layers.
# stored: conv1.weight 16x3x3x3
# stored: features.0.weight 32x16x3x3
# stored: features.0.bias 32
# stored: features.1.weight 64x32x3x3
# stored: features.1.bias 64
# stored: quiet.weight 10x48
# stored: fc.weight 10x64
# stored: fc.bias 10
# stored: aux.weight 5x5
# scan: features.1 int4-sym-g64=9
# scan: quiet int4-sym-g64=9
from torch import nn


class Net(nn.Module):
#@0-21 BL402: 1 tensor under aux.
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        #            ^^^^^^^^^^^^^^^^^^^ BL401: conv1.bias is not in weights.safetensors
        #            ^^^^^^^^^^^^^^^^^^^ BL108: conv1: 27 weights per output channel
        self.features = nn.Sequential(nn.Conv2d(16, 32, 3), nn.Conv2d(32, 64, 3))
        #                                                   ^^^^^^^^^^^^^^^^^^^^ BL101: features.1: 9.0 dB
        #                                                   ^^^^^^^^^^^^^^^^^^^^ BL108: features.0..1: 288 weights per output channel at features.1
        self.quiet = nn.Linear(48, 10, bias=False)  # bitlens: ignore[BL101, BL108]
        self.fc = nn.Linear(64, 12)  # bitlens: ignore[BL404, BL777]
        #         ^^^^^^^^^^^^^^^^^ BL403: fc.weight is 10 × 64 in weights.safetensors, but the source makes 12 × 64
        #                                                     ^^^^^ BL502: BL777 is not the code of a finding
