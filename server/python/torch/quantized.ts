/** torch.ao.quantization: stubs, quantization-aware and quantized modules, by the names they have in PyTorch 2.x. */
import {
  buffer, child, childFrom, dim, module, over, parameter, truth, tuple, weightless, when,
  type Content, type TorchChild, type TorchModuleSpec,
} from './spec';

const DEVICE = 'device=None, dtype=None';
const CONV = "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'";

/** What a fake quantizer keeps depends on the observer in `qconfig`: not knowable from the layer. */
const fakeQuantizer: TorchChild = { name: 'weight_fake_quant', module: undefined };

const convTensors = (n: number): Content => (a) => ({
  parameters: [
    parameter('weight', [dim(a.out_channels), over(a.in_channels, a.groups), ...tuple(a.kernel_size, n)]),
    ...when(truth(a.bias), parameter('bias', [dim(a.out_channels)])),
  ],
});

const linearTensors: Content = (a) => ({
  parameters: [
    parameter('weight', [dim(a.out_features), dim(a.in_features)]),
    ...when(truth(a.bias), parameter('bias', [dim(a.out_features)])),
  ],
});

const withFakeQuantizer = (content: Content): Content => (a) => ({ ...content(a), children: [fakeQuantizer] });

/** Scale and zero point of the output; the weight itself is packed. */
const scaled = [buffer('scale', []), buffer('zero_point', [])];

const sequence = (...names: string[]): Content => (a) => ({ children: names.map((name, index) => childFrom(String(index), a[name])) });

const stubs: readonly TorchModuleSpec[] = [
  ...weightless('torch.ao.quantization', `
    QuantStub(qconfig=None)
    DeQuantStub(qconfig=None)
  `),
  module('torch.ao.quantization.QuantWrapper', 'module', (a) => ({
    children: [child('quant', 'torch.ao.quantization.QuantStub', {}), child('dequant', 'torch.ao.quantization.DeQuantStub', {}), childFrom('module', a.module)],
  })),
  module('torch.ao.nn.quantized.FloatFunctional', '', () => ({ children: [child('activation_post_process', 'torch.nn.Identity', {})] })),
  ...weightless('torch.ao.nn.quantized', 'FXFloatFunctional()\nDeQuantize()'),
];

const aware: readonly TorchModuleSpec[] = [
  module('torch.ao.nn.qat.Linear', `in_features, out_features, bias=True, qconfig=None, ${DEVICE}`, withFakeQuantizer(linearTensors), { role: 'linear' }),
  ...[1, 2, 3].map((n) => module(`torch.ao.nn.qat.Conv${n}d`, `${CONV}, qconfig=None, ${DEVICE}`, withFakeQuantizer(convTensors(n)), { role: 'conv' })),
];

const fused: readonly TorchModuleSpec[] = [
  ...[1, 2, 3].flatMap((n) => [
    module(`torch.ao.nn.intrinsic.ConvReLU${n}d`, 'conv, relu', sequence('conv', 'relu')),
    module(`torch.ao.nn.intrinsic.ConvBn${n}d`, 'conv, bn', sequence('conv', 'bn')),
    module(`torch.ao.nn.intrinsic.ConvBnReLU${n}d`, 'conv, bn, relu', sequence('conv', 'bn', 'relu')),
  ]),
  ...[2, 3].map((n) => module(`torch.ao.nn.intrinsic.BNReLU${n}d`, 'batch_norm, relu', sequence('batch_norm', 'relu'))),
  module('torch.ao.nn.intrinsic.LinearReLU', 'linear, relu', sequence('linear', 'relu')),
  module('torch.ao.nn.intrinsic.LinearBn1d', 'linear, bn', sequence('linear', 'bn')),
];

const quantized: readonly TorchModuleSpec[] = [
  module('torch.ao.nn.quantized.Quantize', 'scale, zero_point, dtype, factory_kwargs=None', () => ({
    parameters: [buffer('scale', [1]), buffer('zero_point', [1])] })),
  module('torch.ao.nn.quantized.modules.linear.LinearPackedParams', 'dtype=torch.qint8', () => ({
    parameters: [buffer('dtype', null), buffer('_packed_params', null)] })),
  module('torch.ao.nn.quantized.Linear', 'in_features, out_features, bias_=True, dtype=torch.qint8', () => ({
    parameters: scaled, children: [child('_packed_params', 'torch.ao.nn.quantized.modules.linear.LinearPackedParams', {})] }), { role: 'linear' }),
  ...[1, 2, 3].map((n) => module(`torch.ao.nn.quantized.Conv${n}d`, `${CONV}, ${DEVICE}`, (a) => {
    // Kept as [out, in/groups, *kernel]; state_dict always lists a bias entry, which is None without one.
    const own = convTensors(n)(a).parameters ?? [];
    return { parameters: [...own, ...scaled] };
  }, { role: 'conv' })),
];

export const quantizedFamily: readonly TorchModuleSpec[] = [...stubs, ...aware, ...fused, ...quantized];
