/** Linear layers and their relatives. Weight is [out, in]. */
import { dim, module, parameter, truth, when, type TorchModuleSpec } from './spec';

export const linear: readonly TorchModuleSpec[] = [
  ...['torch.nn.Linear', 'torch.nn.modules.linear.NonDynamicallyQuantizableLinear'].map((name) =>
    module(name, 'in_features, out_features, bias=True, device=None, dtype=None', (a) => ({
      parameters: [
        parameter('weight', [dim(a.out_features), dim(a.in_features)]),
        ...when(truth(a.bias), parameter('bias', [dim(a.out_features)])),
      ],
    }), { role: 'linear' })),
  module('torch.nn.Bilinear', 'in1_features, in2_features, out_features, bias=True, device=None, dtype=None', (a) => ({
    parameters: [
      parameter('weight', [dim(a.out_features), dim(a.in1_features), dim(a.in2_features)]),
      ...when(truth(a.bias), parameter('bias', [dim(a.out_features)])),
    ],
  }), { role: 'linear' }),
  module('torch.nn.LazyLinear', 'out_features, bias=True, device=None, dtype=None', (a) => ({
    parameters: [
      parameter('weight', [dim(a.out_features), null]),
      ...when(truth(a.bias), parameter('bias', [dim(a.out_features)])),
    ],
  }), { role: 'linear' }),
  module('torch.nn.Identity', '*args, **kwargs'),
];

