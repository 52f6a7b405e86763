/** Pooling and resampling. */
import { PyTuple, type Tensor, type Value } from '../../python/values/values';
import { exactQuotient, floorQuotient, hintOf, minus, plus, sameWhole, times, wholeText, type Whole } from '../../python/values/symbolic';
import { asNumber } from '../../python/evaluation/iteration';
import { asWhole, type Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { concat, float, numeric, rank, slice, squeeze, unsqueeze } from './basic';

import { reduce } from './reduction';

function batched(g: Tracer, x: Tensor, n: number, run: (x: Tensor) => Tensor): Tensor {
  return rank(g, x) === n + 1 ? squeeze(g, run(unsqueeze(g, x, [0])), [0]) : run(x);
}
/** Sizes after a window moved over, as PyTorch counts: with ceil_mode the last window must start within the padded input. */
function sizesAfter(dims: readonly Whole[], kernel: readonly number[], stride: readonly number[], padding: readonly number[], dilation: readonly number[], ceil: boolean): Whole[] {
  return dims.map((size, i) => {
    const span = minus(plus(size, 2 * padding[i]!), dilation[i]! * (kernel[i]! - 1) + 1);
    if (!ceil) return plus(floorQuotient(span, stride[i]!), 1);
    const made = plus(floorQuotient(plus(span, stride[i]! - 1), stride[i]!), 1);
    return hintOf(times(minus(made, 1), stride[i]!)) >= hintOf(size) + padding[i]! ? minus(made, 1) : made;
  });
}
/** `avg_pool2d(x, x.size(3))`: a window of the free size of the whole picture. */
function wholeWindow(g: Tracer, n: number, op: 'MaxPool' | 'AveragePool', x: Tensor, o: Bound): Tensor | null {
  const given = o.wholes('kernel_size');
  const sizes = g.dims(x).slice(2);
  const window = given.length === 1 ? sizes.map(() => given[0]!) : given;
  if (!window.some((size) => typeof size !== 'number') || window.length !== n || sizes.some((size, i) => hintOf(size) !== hintOf(window[i]!))) return null;
  sizes.forEach((size, i) => { if (!sameWhole(size, window[i]!)) g.guard(`${wholeText(size)} == ${wholeText(window[i]!)}`); });
  return g.emit(op === 'MaxPool' ? 'GlobalMaxPool' : 'GlobalAveragePool', [x], {}, { type: 'F32', dims: [...g.dims(x).slice(0, 2), ...sizes.map(() => 1)] });
}
function pool(g: Tracer, n: number, op: 'MaxPool' | 'AveragePool', input: Tensor, o: Bound): Tensor {
  return batched(g, float(g, input), n, (x) => {
    const whole = wholeWindow(g, n, op, x, o);
    if (whole) return whole;
    const kernel = o.each('kernel_size', n);
    const [stride, padding] = [o.each('stride', n, kernel), o.each('padding', n, Array<number>(n).fill(0))];
    const dilation = op === 'MaxPool' ? o.each('dilation', n, Array<number>(n).fill(1)) : Array<number>(n).fill(1);
    const ceil = o.flag('ceil_mode');
    const dims = g.dims(x);
    const sizes = sizesAfter(dims.slice(2), kernel, stride, padding, dilation, ceil);
    if (sizes.some((size) => hintOf(size) < 1)) return g.stop('a window is larger than what it moves over');
    return g.emit(op, [x], {
      kernel_shape: { ints: kernel }, strides: { ints: stride }, pads: { ints: [...padding, ...padding] }, ceil_mode: { int: ceil ? 1 : 0 },
      ...(op === 'MaxPool' ? { dilations: { ints: dilation } } : { count_include_pad: { int: o.flag('count_include_pad', true) ? 1 : 0 } }),
    }, { type: 'F32', dims: [...dims.slice(0, 2), ...sizes] });
  });
}
/** Each output averages (or takes the largest of) the inputs from floor(i n / m) to ceil((i + 1) n / m). */
function adaptive(g: Tracer, n: number, kind: 'mean' | 'max', input: Tensor, wanted: readonly (Whole | null)[]): Tensor {
  return batched(g, float(g, input), n, (given) => {
    let x = given;
    const dims = g.dims(x);
    const target = wanted.map((size, i) => size ?? dims[2 + i]!);
    const op = kind === 'mean' ? 'ReduceMean' : 'ReduceMax';
    if (target.every((size) => size === 1)) {
      return g.emit(kind === 'mean' ? 'GlobalAveragePool' : 'GlobalMaxPool', [x], {}, { type: 'F32', dims: [...dims.slice(0, 2), ...target] });
    }
    const factors = target.map((size, i) => exactQuotient(dims[2 + i]!, size));
    if (factors.every((factor) => typeof factor === 'number')) {
      if (factors.every((factor) => factor === 1)) return x;
      return g.emit(kind === 'mean' ? 'AveragePool' : 'MaxPool', [x], { kernel_shape: { ints: factors }, strides: { ints: factors } }, { type: 'F32', dims: [...dims.slice(0, 2), ...target] });
    }
    target.forEach((size, i) => {
      const axis = 2 + i;
      const [from, to] = [numeric(g, g.dims(x)[axis]!), numeric(g, size)];
      if (from === to) return;
      const parts = Array.from({ length: to }, (_, k) => reduce(g, op, slice(g, x, axis, Math.floor((k * from) / to), Math.ceil(((k + 1) * from) / to)), [axis], true));
      x = concat(g, parts, axis);
    });
    return x;
  });
}
function targetSizes(g: Tracer, value: Value | undefined, n: number): (Whole | null)[] {
  if (value instanceof PyTuple || (value && typeof value === 'object' && 'items' in value)) {
    const items = (value as PyTuple).items.map((item) => (item === null ? null : asWhole(item) ?? g.stop('the size of adaptive pooling is not known')));
    return items.length === 1 ? Array.from({ length: n }, () => items[0]!) : items;
  }
  const size = asWhole(value) ?? g.stop('the size of adaptive pooling is not known');
  return Array.from({ length: n }, () => size);
}
const noIndices = (g: Tracer, o: Bound): void => { if (o.flag('return_indices')) g.stop('pooling that also returns indices is not traced'); };
for (const n of [1, 2, 3]) {
  define(`max_pool${n}d`, 'input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False', (g, a) => { noIndices(g, a); return pool(g, n, 'MaxPool', a.tensor('input'), a); });
  define(`avg_pool${n}d`, 'input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None', (g, a) => (a.given('divisor_override') ? g.stop('divisor_override is not traced') : pool(g, n, 'AveragePool', a.tensor('input'), a)));
  define(`adaptive_avg_pool${n}d`, 'input, output_size', (g, a) => adaptive(g, n, 'mean', a.tensor('input'), targetSizes(g, a.raw('output_size'), n)));
  define(`adaptive_max_pool${n}d`, 'input, output_size, return_indices=False', (g, a) => { noIndices(g, a); return adaptive(g, n, 'max', a.tensor('input'), targetSizes(g, a.raw('output_size'), n)); });
  defineModule(`MaxPool${n}d`, 'input', (g, m, a) => { noIndices(g, m); return pool(g, n, 'MaxPool', a.tensor('input'), m); });
  defineModule(`AvgPool${n}d`, 'input', (g, m, a) => pool(g, n, 'AveragePool', a.tensor('input'), m));
  defineModule(`AdaptiveAvgPool${n}d`, 'input', (g, m, a) => adaptive(g, n, 'mean', a.tensor('input'), targetSizes(g, m.raw('output_size'), n)));
  defineModule(`AdaptiveMaxPool${n}d`, 'input', (g, m, a) => { noIndices(g, m); return adaptive(g, n, 'max', a.tensor('input'), targetSizes(g, m.raw('output_size'), n)); });
}

// ---- resampling ----

/** `interpolate`: modes and corner conventions of PyTorch in terms of ONNX Resize. */
function interpolate(g: Tracer, x: Tensor, o: Bound, mode: string, corners: boolean): Tensor {
  const dims = g.dims(x);
  const n = dims.length - 2;
  const factors = o.given('scale_factor') ? scaleFactors(g, o.raw('scale_factor')!, n) : null;
  const size = o.given('size') ? o.wholes('size') : null;
  const target = size ? (size.length === 1 ? Array.from({ length: n }, () => size[0]!) : size)
    : factors ? dims.slice(2).map((dim, i) => { const factor = factors[i]!; return Number.isInteger(factor) ? times(dim, factor) : Math.floor(numeric(g, dim) * factor); })
    : g.stop('interpolate is given neither a size nor a factor');
  if (o.raw('antialias') === true) return g.stop('interpolate with antialias is not traced');
  const nearest = /^nearest/.test(mode);
  const method = nearest ? 'nearest' : mode === 'bicubic' ? 'cubic' : mode === 'area' ? null : 'linear';
  if (method === null) return adaptive(g, n, 'mean', x, target);
  const transformation = nearest ? (mode === 'nearest-exact' ? 'half_pixel' : 'asymmetric') : corners ? 'align_corners' : 'pytorch_half_pixel';
  const attributes = {
    mode: { text: method }, coordinate_transformation_mode: { text: transformation },
    ...(nearest ? { nearest_mode: { text: mode === 'nearest-exact' ? 'round_prefer_ceil' : 'floor' } } : {}), ...(method === 'cubic' ? { cubic_coeff_a: { float: -0.75 } } : {}),
  };
  const made = { type: 'F32' as const, dims: [...dims.slice(0, 2), ...target] };
  // The factor itself counts where it is given and not worked out again from the sizes.
  const exact = factors && o.raw('recompute_scale_factor') !== true && factors.some((factor) => !Number.isInteger(factor)) && !corners;
  if (exact) return g.emit('Resize', [float(g, x), null, g.constant('F32', [n + 2], [1, 1, ...factors])], attributes, made);
  return g.emit('Resize', [float(g, x), null, null, g.builder.shape([...dims.slice(0, 2), ...target])], attributes, made);
}
function scaleFactors(g: Tracer, value: Value, n: number): number[] {
  const items = typeof value === 'object' && value !== null && 'items' in value ? (value as PyTuple).items : [value];
  const numbers = items.map((item) => asNumber(item) ?? g.stop('the scale factor is not known'));
  return numbers.length === 1 ? Array.from({ length: n }, () => numbers[0]!) : numbers;
}
define('interpolate upsample', "input, size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None, antialias=False", (g, a) => interpolate(g, a.tensor('input'), a, a.text('mode', 'nearest'), a.flag('align_corners')));
define('upsample_nearest', 'input, size=None, scale_factor=None', (g, a) => interpolate(g, a.tensor('input'), a, 'nearest', false));
define('upsample_bilinear', 'input, size=None, scale_factor=None', (g, a) => interpolate(g, a.tensor('input'), a, 'bilinear', true));
defineModule('Upsample', 'input', (g, m, a) => interpolate(g, a.tensor('input'), m, m.text('mode', 'nearest'), m.flag('align_corners')));
defineModule('UpsamplingNearest2d', 'input', (g, m, a) => interpolate(g, a.tensor('input'), m, 'nearest', false));
defineModule('UpsamplingBilinear2d', 'input', (g, m, a) => interpolate(g, a.tensor('input'), m, 'bilinear', true));
define('grid_sample', "input, grid, mode='bilinear', padding_mode='zeros', align_corners=None", (g, a) => {
  const [x, grid] = [a.tensor('input'), a.tensor('grid')];
  const mode = a.text('mode', 'bilinear');
  return g.emit('GridSample', [x, grid], { mode: { text: mode === 'bilinear' ? 'linear' : mode === 'bicubic' ? 'cubic' : mode }, padding_mode: { text: a.text('padding_mode', 'zeros') }, align_corners: { int: a.flag('align_corners') ? 1 : 0 } },
    { type: 'F32', dims: [...g.dims(x).slice(0, 2), ...g.dims(grid).slice(1, -1)] });
});
define('lp_pool2d', 'input, norm_type, kernel_size, stride=None, ceil_mode=False', (g, a) => g.emit('LpPool', [a.tensor('input')], { p: { int: a.number('norm_type') }, kernel_shape: { ints: a.each('kernel_size', 2) }, strides: { ints: a.each('stride', 2, a.each('kernel_size', 2)) } },
  { type: 'F32', dims: [...g.dims(a.tensor('input')).slice(0, 2), ...sizesAfter(g.dims(a.tensor('input')).slice(2), a.each('kernel_size', 2), a.each('stride', 2, a.each('kernel_size', 2)), [0, 0], [1, 1], false)] }));

