/** Convolutions. Weight is [out, in/groups, *kernel]; transposed ones are [in, out/groups, *kernel]. */
import { attributeTuple, dim, module, over, parameter, truth, tuple, when, type TorchArgs, type TorchModuleSpec } from './spec';

const CONV = 'in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, '
  + "padding_mode='zeros', device=None, dtype=None";
const TRANSPOSED = 'in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, '
  + "dilation=1, padding_mode='zeros', device=None, dtype=None";
const withoutInput = (signature: string): string => signature.replace('in_channels, ', '');

/** Instances keep these as tuples whatever was given; `padding` may be a word. */
const geometry = (n: number) => (a: TorchArgs): Record<string, unknown> =>
  Object.fromEntries(['kernel_size', 'stride', 'padding', 'dilation', 'output_padding'].filter((name) => name in a)
    .map((name) => [name, attributeTuple(a[name], n)]));

/** A lazy convolution takes in_channels from its first input: unknown here, everything else as in the eager one. */
const convolution = (name: string, n: number, signature: string): TorchModuleSpec =>
  module(name, signature, (a) => ({
    parameters: [
      parameter('weight', [dim(a.out_channels), over(a.in_channels, a.groups), ...tuple(a.kernel_size, n)]),
      ...when(truth(a.bias), parameter('bias', [dim(a.out_channels)])),
    ],
  }), { role: 'conv', attributes: geometry(n) });

const transposed = (name: string, n: number, signature: string): TorchModuleSpec =>
  module(name, signature, (a) => ({
    parameters: [
      parameter('weight', [dim(a.in_channels), over(a.out_channels, a.groups), ...tuple(a.kernel_size, n)]),
      ...when(truth(a.bias), parameter('bias', [dim(a.out_channels)])),
    ],
  }), { role: 'conv-transpose', outputAxis: 1, attributes: geometry(n) });

const FOLD = 'kernel_size, dilation=1, padding=0, stride=1';

export const conv: readonly TorchModuleSpec[] = [
  ...[1, 2, 3].flatMap((n) => [
    convolution(`torch.nn.Conv${n}d`, n, CONV),
    transposed(`torch.nn.ConvTranspose${n}d`, n, TRANSPOSED),
    convolution(`torch.nn.LazyConv${n}d`, n, withoutInput(CONV)),
    transposed(`torch.nn.LazyConvTranspose${n}d`, n, withoutInput(TRANSPOSED)),
  ]),
  module('torch.nn.Fold', `output_size, ${FOLD}`),
  module('torch.nn.Unfold', FOLD),
];
