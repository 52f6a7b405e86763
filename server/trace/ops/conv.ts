/** Convolutions. ONNX takes padding as begins and ends; modes other than zeros are a Pad before. */
import { type Tensor } from '../../python/values/values';
import { floorQuotient, hintOf, minus, plus, times, type Whole } from '../../python/values/symbolic';
import type { Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { float, mismatch, rank, squeeze, unsqueeze, shapeText } from './basic';
import { pad } from './shape';

const SIGNATURE = 'input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1';
const TRANSPOSED = 'input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1';

/** A picture without a batch gets one for the operator. */
function batched(g: Tracer, x: Tensor, n: number, run: (x: Tensor) => Tensor): Tensor {
  if (rank(g, x) === n + 2) return run(x);
  if (rank(g, x) === n + 1) return squeeze(g, run(unsqueeze(g, x, [0])), [0]);
  return g.stop(`a convolution over ${n} dimensions is given a tensor of shape ${shapeText(g.dims(x))}`);
}

function conv(g: Tracer, n: number, input: Tensor, weight: Tensor, bias: Tensor | null, o: Bound, mode = 'zeros'): Tensor {
  return batched(g, float(g, input), n, (given) => {
    const kernel = g.dims(weight).slice(2).map(hintOf);
    const [stride, dilation] = [o.each('stride', n, Array<number>(n).fill(1)), o.each('dilation', n, Array<number>(n).fill(1))];
    const groups = o.number('groups', 1);
    const word = o.raw('padding');
    // 'same' puts the odd one behind.
    const ends = word === 'valid' ? kernel.map(() => [0, 0] as const)
      : word === 'same' ? kernel.map((size, i) => { const total = dilation[i]! * (size - 1); return [Math.floor(total / 2), total - Math.floor(total / 2)] as const; })
      : o.each('padding', n, Array<number>(n).fill(0)).map((size) => [size, size] as const);
    const outside = mode !== 'zeros';
    const x = outside ? pad(g, given, [...ends].reverse().flat(), mode, 0) : given;
    const pads = outside ? ends.map(() => [0, 0] as const) : ends;
    const dims = g.dims(x);
    const channels = times(g.dims(weight)[1]!, groups);
    if (hintOf(dims[1]!) !== hintOf(channels)) mismatch(g, dims[1]!, channels, `a convolution for ${hintOf(channels)} channels is given a tensor of shape ${shapeText(dims)}`);
    const sizes = dims.slice(2).map((size, i): Whole => plus(floorQuotient(minus(plus(size, pads[i]![0] + pads[i]![1]), dilation[i]! * (kernel[i]! - 1) + 1), stride[i]!), 1));
    if (sizes.some((size) => hintOf(size) < 1)) return g.stop(`a kernel of ${kernel.join(' x ')} is larger than a tensor of shape ${shapeText(dims)}`);
    return g.emit('Conv', [x, weight, bias], {
      kernel_shape: { ints: kernel }, strides: { ints: stride }, dilations: { ints: dilation }, group: { int: groups },
      pads: { ints: [...pads.map((each) => each[0]), ...pads.map((each) => each[1])] },
    }, { type: 'F32', dims: [dims[0]!, g.dims(weight)[0]!, ...sizes] });
  });
}
function convTranspose(g: Tracer, n: number, input: Tensor, weight: Tensor, bias: Tensor | null, o: Bound): Tensor {
  return batched(g, float(g, input), n, (x) => {
    const kernel = g.dims(weight).slice(2).map(hintOf);
    const ones = Array<number>(n).fill(1);
    const zeros = Array<number>(n).fill(0);
    const [stride, dilation, padding, extra] = [o.each('stride', n, ones), o.each('dilation', n, ones), o.each('padding', n, zeros), o.each('output_padding', n, zeros)];
    const groups = o.number('groups', 1);
    const dims = g.dims(x);
    const sizes = dims.slice(2).map((size, i): Whole => plus(times(minus(size, 1), stride[i]!), dilation[i]! * (kernel[i]! - 1) + 1 + extra[i]! - 2 * padding[i]!));
    return g.emit('ConvTranspose', [x, weight, bias], {
      kernel_shape: { ints: kernel }, strides: { ints: stride }, dilations: { ints: dilation }, group: { int: groups }, pads: { ints: [...padding, ...padding] }, output_padding: { ints: extra },
    }, { type: 'F32', dims: [dims[0]!, times(g.dims(weight)[1]!, groups), ...sizes] });
  });
}
for (const n of [1, 2, 3]) {
  define(`conv${n}d`, SIGNATURE, (g, a) => conv(g, n, a.tensor('input'), a.tensor('weight'), a.optional('bias'), a));
  define(`conv_transpose${n}d`, TRANSPOSED, (g, a) => convTranspose(g, n, a.tensor('input'), a.tensor('weight'), a.optional('bias'), a));
  defineModule(`Conv${n}d LazyConv${n}d`, 'input', (g, m, a) => conv(g, n, a.tensor('input'), m.tensor('weight'), m.optional('bias'), m, m.text('padding_mode', 'zeros')));
  defineModule(`ConvTranspose${n}d LazyConvTranspose${n}d`, 'input, output_size=None', (g, m, a) => (a.given('output_size') ? g.stop('a transposed convolution with output_size is not traced') : convTranspose(g, n, a.tensor('input'), m.tensor('weight'), m.optional('bias'), m)));
}
