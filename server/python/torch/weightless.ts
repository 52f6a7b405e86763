/** Modules of torch.nn without a tensor: activations, pooling, padding, dropout, reshaping; and PReLU, which has one. */
import { dim, module, parameter, weightless, type TorchModuleSpec } from './spec';

const activations = weightless('torch.nn', `
  CELU(alpha=1.0, inplace=False)
  ELU(alpha=1.0, inplace=False)
  GELU(approximate='none')
  GLU(dim=-1)
  Hardshrink(lambd=0.5)
  Hardsigmoid(inplace=False)
  Hardswish(inplace=False)
  Hardtanh(min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None)
  LeakyReLU(negative_slope=0.01, inplace=False)
  LogSigmoid()
  LogSoftmax(dim=None)
  Mish(inplace=False)
  RReLU(lower=0.125, upper=1/3, inplace=False)
  ReLU(inplace=False)
  ReLU6(inplace=False)
  SELU(inplace=False)
  SiLU(inplace=False)
  Sigmoid()
  Softmax(dim=None)
  Softmax2d()
  Softmin(dim=None)
  Softplus(beta=1, threshold=20)
  Softshrink(lambd=0.5)
  Softsign()
  Tanh()
  Tanhshrink()
  Threshold(threshold, value, inplace=False)
`, 'activation');

const pooling = weightless('torch.nn', `
  AdaptiveAvgPool1d(output_size)
  AdaptiveAvgPool2d(output_size)
  AdaptiveAvgPool3d(output_size)
  AdaptiveMaxPool1d(output_size, return_indices=False)
  AdaptiveMaxPool2d(output_size, return_indices=False)
  AdaptiveMaxPool3d(output_size, return_indices=False)
  AvgPool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)
  AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)
  AvgPool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)
  FractionalMaxPool2d(kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None)
  FractionalMaxPool3d(kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None)
  LPPool1d(norm_type, kernel_size, stride=None, ceil_mode=False)
  LPPool2d(norm_type, kernel_size, stride=None, ceil_mode=False)
  LPPool3d(norm_type, kernel_size, stride=None, ceil_mode=False)
  MaxPool1d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
  MaxPool2d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
  MaxPool3d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)
  MaxUnpool1d(kernel_size, stride=None, padding=0)
  MaxUnpool2d(kernel_size, stride=None, padding=0)
  MaxUnpool3d(kernel_size, stride=None, padding=0)
`);

const PADS = ['CircularPad', 'ReflectionPad', 'ReplicationPad', 'ZeroPad'].flatMap((name) => [1, 2, 3].map((n) => `${name}${n}d(padding)`));

const padding = weightless('torch.nn', [...PADS, ...[1, 2, 3].map((n) => `ConstantPad${n}d(padding, value)`)].join('\n'));

const shaping = weightless('torch.nn', `
  AlphaDropout(p=0.5, inplace=False)
  Dropout(p=0.5, inplace=False)
  Dropout1d(p=0.5, inplace=False)
  Dropout2d(p=0.5, inplace=False)
  Dropout3d(p=0.5, inplace=False)
  FeatureAlphaDropout(p=0.5, inplace=False)
  ChannelShuffle(groups)
  CosineSimilarity(dim=1, eps=1e-08)
  Flatten(start_dim=1, end_dim=-1)
  PairwiseDistance(p=2.0, eps=1e-06, keepdim=False)
  PixelShuffle(upscale_factor)
  PixelUnshuffle(downscale_factor)
  Unflatten(dim, unflattened_size)
  Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None)
  UpsamplingBilinear2d(size=None, scale_factor=None)
  UpsamplingNearest2d(size=None, scale_factor=None)
`);

export const activationFamily: readonly TorchModuleSpec[] = [
  ...activations,
  module('torch.nn.PReLU', 'num_parameters=1, init=0.25, device=None, dtype=None',
    (a) => ({ parameters: [parameter('weight', [dim(a.num_parameters)])] }), { role: 'activation' }),
  ...pooling, ...padding, ...shaping,
];
