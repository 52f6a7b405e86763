/** Sums, means, extremes and what is made of them. */
import { PyList, PyTuple, Tensor, type Value } from '../../python/values/values';
import { product, type Whole } from '../../python/values/symbolic';
import type { Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { isFloat } from '../types';
import { cast, float, rank, reshape, same, scalar, vector } from './basic';
import { combine, compareTensors, elementwise } from './arithmetic';

const NAMED = (values: readonly Value[]): PyTuple => new PyTuple(values, null, ['values', 'indices']);

export function reduce(g: Tracer, op: string, x: Tensor, axes: readonly number[], keep: boolean): Tensor {
  const { dims, type } = g.read(x);
  if (axes.length === 0) return x;
  const made: Whole[] = keep ? dims.map((dim, i) => (axes.includes(i) ? 1 : dim)) : dims.filter((_, i) => !axes.includes(i));
  return g.emit(op, [x, vector(g, axes)], { keepdims: { int: keep ? 1 : 0 } }, { type, dims: made });
}
const axesOf = (g: Tracer, a: Bound, x: Tensor): number[] => a.axes('dim', rank(g, x));
const summable = (g: Tracer, x: Tensor): Tensor => (isFloat(g.type(x)) ? x : cast(g, x, 'I64'));

define('sum', 'input, dim=None, keepdim=False, dtype=None', (g, a) => { const x = summable(g, a.tensor('input')); return reduce(g, 'ReduceSum', x, axesOf(g, a, x), a.flag('keepdim')); });
define('mean nanmean', 'input, dim=None, keepdim=False, dtype=None', (g, a) => { const x = float(g, a.tensor('input')); return reduce(g, 'ReduceMean', x, axesOf(g, a, x), a.flag('keepdim')); });
/** Losses that forward itself computes and gives beside its output. */
for (const [name, layer, of] of [['mse_loss', 'MSELoss', (g: Tracer, d: Tensor) => elementwise(g, 'Mul', d, d)], ['l1_loss', 'L1Loss', (g: Tracer, d: Tensor) => same(g, 'Abs', d)]] as const) {
  const loss = (g: Tracer, x: Tensor, target: Tensor, how: string): Tensor => {
    const each = of(g, elementwise(g, 'Sub', x, target));
    const axes = Array.from({ length: rank(g, each) }, (_, i) => i);
    return how === 'none' ? each : reduce(g, how === 'sum' ? 'ReduceSum' : 'ReduceMean', each, axes, false);
  };
  define(name, "input, target, size_average=None, reduce=None, reduction='mean'", (g, a) => loss(g, a.tensor('input'), a.tensor('target'), a.text('reduction', 'mean')));
  defineModule(layer, 'input, target', (g, m, a) => loss(g, a.tensor('input'), a.tensor('target'), m.text('reduction', 'mean')));
}
define('prod', 'input, dim=None, keepdim=False, dtype=None', (g, a) => { const x = summable(g, a.tensor('input')); return reduce(g, 'ReduceProd', x, axesOf(g, a, x), a.flag('keepdim')); });
define('amax', 'input, dim=None, keepdim=False', (g, a) => reduce(g, 'ReduceMax', a.tensor('input'), axesOf(g, a, a.tensor('input')), a.flag('keepdim')));
define('amin', 'input, dim=None, keepdim=False', (g, a) => reduce(g, 'ReduceMin', a.tensor('input'), axesOf(g, a, a.tensor('input')), a.flag('keepdim')));
define('logsumexp', 'input, dim, keepdim=False', (g, a) => {
  const x = float(g, a.tensor('input'));
  const axes = axesOf(g, a, x);
  const top = reduce(g, 'ReduceMax', x, axes, true);
  const sum = elementwise(g, 'Add', same(g, 'Log', reduce(g, 'ReduceSum', same(g, 'Exp', elementwise(g, 'Sub', x, top)), axes, true)), top);
  return a.flag('keepdim') ? sum : g.op('squeeze', sum, new PyTuple(axes));
});
define('any', 'input, dim=None, keepdim=False', (g, a) => cast(g, reduce(g, 'ReduceMax', cast(g, cast(g, a.tensor('input'), 'BOOL'), 'I64'), axesOf(g, a, a.tensor('input')), a.flag('keepdim')), 'BOOL'));
define('all', 'input, dim=None, keepdim=False', (g, a) => cast(g, reduce(g, 'ReduceMin', cast(g, cast(g, a.tensor('input'), 'BOOL'), 'I64'), axesOf(g, a, a.tensor('input')), a.flag('keepdim')), 'BOOL'));

function arg(g: Tracer, op: 'ArgMax' | 'ArgMin', x: Tensor, axis: number | null, keep: boolean): Tensor {
  const flat = axis === null ? reshape(g, x, [-1]) : x;
  const at = axis ?? 0;
  const dims = g.dims(flat);
  const made = keep && axis !== null ? dims.map((dim, i) => (i === at ? 1 : dim)) : dims.filter((_, i) => i !== at);
  return g.emit(op, [g.type(flat) === 'BOOL' ? cast(g, flat, 'I64') : flat], { axis: { int: at }, keepdims: { int: keep && axis !== null ? 1 : 0 } }, { type: 'I64', dims: made });
}
define('argmax', 'input, dim=None, keepdim=False', (g, a) => arg(g, 'ArgMax', a.tensor('input'), a.given('dim') ? a.axis('dim', rank(g, a.tensor('input'))) : null, a.flag('keepdim')));
define('argmin', 'input, dim=None, keepdim=False', (g, a) => arg(g, 'ArgMin', a.tensor('input'), a.given('dim') ? a.axis('dim', rank(g, a.tensor('input'))) : null, a.flag('keepdim')));
for (const [name, all, argument, pair] of [['max', 'ReduceMax', 'ArgMax', 'Max'], ['min', 'ReduceMin', 'ArgMin', 'Min']] as const) {
  define(name, 'input, dim=None, keepdim=False', (g, a) => {
    const x = a.tensor('input');
    const dim = a.raw('dim');
    if (dim instanceof Tensor) return elementwise(g, pair, x, dim);
    if (!a.given('dim')) return reduce(g, all, x, axesOf(g, a, x), false);
    const axis = a.axis('dim', rank(g, x));
    return NAMED([reduce(g, all, x, [axis], a.flag('keepdim')), arg(g, argument, x, axis, a.flag('keepdim'))]);
  });
}

/** Variance with `correction` taken off the count (1 by default, 0 for unbiased=False). */
function variance(g: Tracer, a: Bound): { variance: Tensor; mean: Tensor } {
  const x = float(g, a.tensor('input'));
  // `var(unbiased)` and `var(dim, unbiased)` are older forms.
  const dim = a.raw('dim');
  const lone = typeof dim === 'boolean' ? dim : undefined;
  const axes = lone === undefined ? axesOf(g, a, x) : Array.from({ length: rank(g, x) }, (_, i) => i);
  const unbiased = lone ?? (a.given('unbiased') ? a.flag('unbiased') : undefined);
  const correction = unbiased === undefined ? a.number('correction', 1) : unbiased ? 1 : 0;
  const mean = reduce(g, 'ReduceMean', x, axes, true);
  const centred = elementwise(g, 'Sub', x, mean);
  const squares = elementwise(g, 'Mul', centred, centred);
  const keep = a.flag('keepdim');
  const shown = keep ? mean : reduce(g, 'ReduceMean', x, axes, false);
  if (correction === 0) return { variance: reduce(g, 'ReduceMean', squares, axes, keep), mean: shown };
  const count = product(axes.map((axis) => g.dims(x)[axis]!));
  const divisor = typeof count === 'number' ? scalar(g, count - correction) : elementwise(g, 'Sub', cast(g, g.asTensor(count)!, 'F32'), scalar(g, correction));
  return { variance: elementwise(g, 'Div', reduce(g, 'ReduceSum', squares, axes, keep), divisor), mean: shown };
}
const VARIANCE = 'input, dim=None, unbiased=None, keepdim=False, *, correction=1';
define('var', VARIANCE, (g, a) => variance(g, a).variance);
define('std', VARIANCE, (g, a) => same(g, 'Sqrt', variance(g, a).variance));
define('var_mean', VARIANCE, (g, a) => { const made = variance(g, a); return new PyTuple([made.variance, made.mean]); });
define('std_mean', VARIANCE, (g, a) => { const made = variance(g, a); return new PyTuple([same(g, 'Sqrt', made.variance), made.mean]); });

function norm(g: Tracer, a: Bound, p: Value): Tensor {
  const x = g.isComplex(a.tensor('input')) ? g.op('abs', a.tensor('input')) : float(g, a.tensor('input'));
  const axes = axesOf(g, a, x);
  const keep = a.flag('keepdim');
  const order = p === null || p === 'fro' ? 2 : typeof p === 'object' && 'value' in p ? p.value as number : p;
  if (order === 2) return same(g, 'Sqrt', reduce(g, 'ReduceSum', elementwise(g, 'Mul', x, x), axes, keep));
  if (order === 1) return reduce(g, 'ReduceSum', same(g, 'Abs', x), axes, keep);
  if (order === Infinity) return reduce(g, 'ReduceMax', same(g, 'Abs', x), axes, keep);
  if (typeof order !== 'number') return g.stop('the order of a norm is not known');
  return elementwise(g, 'Pow', reduce(g, 'ReduceSum', elementwise(g, 'Pow', same(g, 'Abs', x), scalar(g, order)), axes, keep), scalar(g, 1 / order));
}
define('norm torch_norm', "input, p='fro', dim=None, keepdim=False, dtype=None", (g, a) => norm(g, a, a.raw('p') ?? null));
define('torch.linalg.norm torch.linalg.vector_norm torch.linalg.matrix_norm', 'input, ord=None, dim=None, keepdim=False, dtype=None', (g, a) => norm(g, a, a.raw('ord') ?? null));
define('cumsum', 'input, dim, dtype=None', (g, a) => { const x = summable(g, a.tensor('input')); return same(g, 'CumSum', x, {}, [scalar(g, a.axis('dim', rank(g, x)), 'I64')]); });
/** By the logarithms of the magnitudes, whose sum is -infinity from a zero factor on; the sign is the parity of the negative factors. */
define('cumprod', 'input, dim, dtype=None', (g, a) => {
  const x = float(g, a.tensor('input'));
  const dim = a.raw('dim')!;
  const magnitude = same(g, 'Exp', g.op('cumsum', same(g, 'Log', same(g, 'Abs', x)), dim) as Tensor);
  const negative = g.op('cumsum', cast(g, compareTensors(g, '<', x, scalar(g, 0)), 'I64'), dim);
  const parity = cast(g, combine(g, '%', negative, scalar(g, 2, 'I64')), g.type(x));
  return elementwise(g, 'Mul', magnitude, elementwise(g, 'Sub', scalar(g, 1), elementwise(g, 'Mul', parity, scalar(g, 2))));
});
define('cosine_similarity', 'x1, x2, dim=1, eps=1e-08', (g, a) => {
  const [x, y] = [float(g, a.tensor('x1')), float(g, a.tensor('x2'))];
  const dim = a.raw('dim')!;
  const length = (t: Tensor): Tensor => elementwise(g, 'Max', g.opWith('torch_norm', [t], { dim }) as Tensor, scalar(g, a.number('eps', 1e-8)));
  return elementwise(g, 'Div', g.opWith('sum', [elementwise(g, 'Mul', x, y)], { dim }) as Tensor, elementwise(g, 'Mul', length(x), length(y)));
});
define('cdist', 'x1, x2, p=2.0', (g, a) => {
  const [x, y] = [float(g, a.tensor('x1')), float(g, a.tensor('x2'))];
  const difference = elementwise(g, 'Sub', g.op('unsqueeze', x, -2), g.op('unsqueeze', y, -3));
  return g.opWith('torch_norm', [difference, a.raw('p')!], { dim: -1 });
});
define('Tensor.item', 'input', (g, a) => { const x = a.tensor('input'); return x.data?.length === 1 ? x.data[0]! : g.stop('the value of a tensor is used as a plain number'); });
define('Tensor.tolist Tensor.numpy', 'input, *args, **kwargs', (g, a) => { const x = a.tensor('input'); return x.data && x.shape?.length === 1 ? new PyList([...x.data]) : g.stop('the values of a tensor are used as plain numbers'); });
define('median kthvalue mode', 'input, *args, **kwargs', (g) => g.stop('medians are not traced'));
define('trace', 'input', (g, a) => g.op('sum', g.op('diagonal', a.tensor('input'))));
define('diagonal', 'input, offset=0, dim1=0, dim2=1', (g, a) => {
  const x = a.tensor('input');
  const [p, q] = [a.axis('dim1', rank(g, x), 0), a.axis('dim2', rank(g, x), 1)];
  if (a.number('offset', 0) !== 0) return g.stop('a diagonal beside the main one is not traced');
  const moved = g.op('movedim', x, new PyTuple([p, q]), new PyTuple([-2, -1]));
  const n = g.dims(moved).at(-1)!;
  const eye = g.op('eye', n);
  return reduce(g, 'ReduceSum', elementwise(g, 'Mul', moved, eye), [rank(g, moved) - 1], false);
});
