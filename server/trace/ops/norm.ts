/** Normalisation layers, with the statistics they were trained with. */
import type { Tensor } from '../../python/values/values';
import { asNumber } from '../../python/evaluation/iteration';
import type { Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { filled, float, numeric, rank, reshape, same, scalar } from './basic';
import { elementwise } from './arithmetic';
import { reduce } from './reduction';

const channels = (g: Tracer, x: Tensor): number => numeric(g, g.dims(x)[1] ?? g.stop('a tensor without channels is normalised'));

/** y = (x - mean) / sqrt(var + eps) * weight + bias, along dimension 1. */
export function batchNorm(g: Tracer, x: Tensor, mean: Tensor | null, variance: Tensor | null, weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
  const count = channels(g, x);
  const one = weight ?? filled(g, [count], 1, 'F32');
  const zero = bias ?? filled(g, [count], 0, 'F32');
  if (mean && variance) return same(g, 'BatchNormalization', float(g, x), { epsilon: { float: eps } }, [one, zero, mean, variance]);
  // Without running statistics the batch's own count, in use as in training.
  const axes = Array.from({ length: rank(g, x) }, (_, i) => i).filter((i) => i !== 1);
  const own = reduce(g, 'ReduceMean', x, axes, true);
  const centred = elementwise(g, 'Sub', x, own);
  const spread = reduce(g, 'ReduceMean', elementwise(g, 'Mul', centred, centred), axes, true);
  return affine(g, elementwise(g, 'Div', centred, same(g, 'Sqrt', elementwise(g, 'Add', spread, scalar(g, eps)))), weight, bias);
}
/** Per channel of dimension 1. */
function affine(g: Tracer, x: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const shape = [channels(g, x), ...Array<number>(rank(g, x) - 2).fill(1)];
  const scaled = weight ? elementwise(g, 'Mul', x, reshape(g, weight, shape)) : x;
  return bias ? elementwise(g, 'Add', scaled, reshape(g, bias, shape)) : scaled;
}
define('batch_norm', 'input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05', (g, a) => {
  const training = a.flag('training');
  return batchNorm(g, a.tensor('input'), training ? null : a.optional('running_mean'), training ? null : a.optional('running_var'), a.optional('weight'), a.optional('bias'), a.number('eps', 1e-5));
});
defineModule('BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LazyBatchNorm2d FrozenBatchNorm2d', 'input', (g, m, a) =>
  batchNorm(g, a.tensor('input'), m.optional('running_mean'), m.optional('running_var'), m.optional('weight'), m.optional('bias'), m.number('eps', 1e-5)));

export function layerNorm(g: Tracer, x: Tensor, count: number, weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
  const dims = g.dims(x).slice(-count);
  return same(g, 'LayerNormalization', float(g, x), { axis: { int: -count }, epsilon: { float: eps } }, [weight ?? filled(g, dims, 1, 'F32'), bias]);
}
define('layer_norm', 'input, normalized_shape, weight=None, bias=None, eps=1e-05', (g, a) => layerNorm(g, a.tensor('input'), a.wholes('normalized_shape').length, a.optional('weight'), a.optional('bias'), a.number('eps', 1e-5)));
defineModule('LayerNorm FusedLayerNorm', 'input', (g, m, a) => layerNorm(g, a.tensor('input'), m.wholes('normalized_shape').length, m.optional('weight'), m.optional('bias'), m.number('eps', 1e-5)));
defineModule('LayerNorm2d', 'x', (g, m, a) => {
  const last = g.op('permute', a.tensor('x'), 0, 2, 3, 1);
  return g.op('permute', layerNorm(g, last, 1, m.optional('weight'), m.optional('bias'), m.number('eps', 1e-6)), 0, 3, 1, 2);
});

/** x / sqrt(mean(x^2) + eps) * weight over the last dimensions. eps None is the smallest step of float32. */
export function rmsNorm(g: Tracer, x: Tensor, count: number, weight: Tensor | null, eps: number): Tensor {
  const axes = Array.from({ length: count }, (_, i) => rank(g, x) - count + i);
  const mean = reduce(g, 'ReduceMean', elementwise(g, 'Mul', x, x), axes, true);
  const made = elementwise(g, 'Div', x, same(g, 'Sqrt', elementwise(g, 'Add', mean, scalar(g, eps))));
  return weight ? elementwise(g, 'Mul', made, weight) : made;
}
const epsOf = (a: Bound): number => (a.raw('eps') === null || a.raw('eps') === undefined ? 1.1920928955078125e-7 : asNumber(a.raw('eps')!) ?? 1e-6);
define('rms_norm', 'input, normalized_shape, weight=None, eps=None', (g, a) => rmsNorm(g, float(g, a.tensor('input')), a.wholes('normalized_shape').length, a.optional('weight'), epsOf(a)));
defineModule('RMSNorm FusedRMSNorm', 'x', (g, m, a) => rmsNorm(g, float(g, a.tensor('x')), m.given('normalized_shape') ? m.wholes('normalized_shape').length : 1, m.optional('weight'), epsOf(m)));

function groupNorm(g: Tracer, x: Tensor, groups: number, weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
  const dims = g.dims(x);
  const flat = reshape(g, float(g, x), [dims[0]!, groups, -1]);
  const ones = filled(g, [groups], 1, 'F32');
  const made = same(g, 'InstanceNormalization', flat, { epsilon: { float: eps } }, [ones, filled(g, [groups], 0, 'F32')]);
  return affine(g, reshape(g, made, dims), weight, bias);
}
define('group_norm', 'input, num_groups, weight=None, bias=None, eps=1e-05', (g, a) => groupNorm(g, a.tensor('input'), a.number('num_groups'), a.optional('weight'), a.optional('bias'), a.number('eps', 1e-5)));
defineModule('GroupNorm', 'input', (g, m, a) => groupNorm(g, a.tensor('input'), m.number('num_groups'), m.optional('weight'), m.optional('bias'), m.number('eps', 1e-5)));

function instanceNorm(g: Tracer, x: Tensor, weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
  const count = channels(g, x);
  return same(g, 'InstanceNormalization', float(g, x), { epsilon: { float: eps } }, [weight ?? filled(g, [count], 1, 'F32'), bias ?? filled(g, [count], 0, 'F32')]);
}
define('instance_norm', 'input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05', (g, a) => instanceNorm(g, a.tensor('input'), a.optional('weight'), a.optional('bias'), a.number('eps', 1e-5)));
defineModule('InstanceNorm1d InstanceNorm2d InstanceNorm3d', 'input', (g, m, a) => (m.given('running_mean')
  ? batchNorm(g, a.tensor('input'), m.tensor('running_mean'), m.tensor('running_var'), m.optional('weight'), m.optional('bias'), m.number('eps', 1e-5))
  : instanceNorm(g, a.tensor('input'), m.optional('weight'), m.optional('bias'), m.number('eps', 1e-5))));

const lrn = (g: Tracer, x: Tensor, o: Bound): Tensor => same(g, 'LRN', x, { size: { int: o.number('size') }, alpha: { float: o.number('alpha', 1e-4) }, beta: { float: o.number('beta', 0.75) }, bias: { float: o.number('k', 1) } });
define('local_response_norm', 'input, size, alpha=0.0001, beta=0.75, k=1.0', (g, a) => lrn(g, a.tensor('input'), a));
defineModule('LocalResponseNorm CrossMapLRN2d', 'input', (g, m, a) => lrn(g, a.tensor('input'), m));

define('normalize', 'input, p=2.0, dim=1, eps=1e-12', (g, a) => {
  const x = a.tensor('input');
  const length = g.opWith('torch_norm', [x, a.raw('p')!], { dim: a.raw('dim')!, keepdim: true }) as Tensor;
  return elementwise(g, 'Div', x, elementwise(g, 'Max', length, scalar(g, a.number('eps', 1e-12))));
});
defineModule('LayerScale', 'x', (g, m, a) => elementwise(g, 'Mul', a.tensor('x'), m.tensor('gamma')));
