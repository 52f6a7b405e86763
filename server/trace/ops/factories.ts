/** Tensors that are made of sizes and numbers. */
import { asNumber } from '../../python/evaluation/iteration';
import type { PyList } from '../../python/values/values';
import { PyDict, PyFloat, PyTuple, Tensor, type Value } from '../../python/values/values';
import { floorQuotient, minus, plus, Symbolic, type Whole } from '../../python/values/symbolic';
import type { OnnxType } from '../../../kernels/graph/onnx-types';
import { asWhole, type Bound } from '../bound';
import { define } from '../registry';
import type { Tracer } from '../tracer';
import { canonicalDtype, typeNamed } from '../types';
import { cast, expand, filled, rank, same, scalar, unsqueeze } from './basic';
import { elementwise, toType } from './arithmetic';

function typeOf(g: Tracer, a: Bound, otherwise: OnnxType): OnnxType {
  const name = a.dtype();
  if (name === null || !/^(float|bfloat|double|half|int|long|short|uint|bool|complex|cfloat)/.test(name)) return otherwise;
  const type = typeNamed(name);
  return type === undefined || type === 'complex' ? g.stop(`a tensor of ${name} is not traced`) : type;
}
for (const [name, value] of [['zeros', 0], ['ones', 1], ['empty', 0]] as const) {
  define(name, '*size, dtype=None, out=None', (g, a) => filled(g, a.wholes('size'), value, typeOf(g, a, 'F32')));
  define(`${name}_like`, 'input, dtype=None', (g, a) => filled(g, g.dims(a.tensor('input')), value, typeOf(g, a, g.type(a.tensor('input')))));
  define(`Tensor.new_${name}`, 'input, *size, dtype=None', (g, a) => filled(g, a.wholes('size'), value, typeOf(g, a, g.type(a.tensor('input')))));
}
function full(g: Tracer, dims: readonly Whole[], value: Value, a: Bound, otherwise?: OnnxType): Tensor {
  const number = asNumber(value);
  if (number !== undefined) return filled(g, dims, number, typeOf(g, a, otherwise ?? (value instanceof PyFloat ? 'F32' : typeof value === 'boolean' ? 'BOOL' : 'I64')));
  return expand(g, g.asTensor(value) ?? g.stop('the value of a filled tensor is not known'), dims);
}
define('full', 'size, fill_value, dtype=None', (g, a) => full(g, a.wholes('size'), a.raw('fill_value')!, a));
define('full_like', 'input, fill_value, dtype=None', (g, a) => full(g, g.dims(a.tensor('input')), a.raw('fill_value')!, a, g.type(a.tensor('input'))));
define('Tensor.new_full', 'input, size, fill_value, dtype=None', (g, a) => full(g, a.wholes('size'), a.raw('fill_value')!, a, g.type(a.tensor('input'))));
define('Tensor.new_tensor', 'input, data, dtype=None', (g, a) => cast(g, a.tensor('data'), typeOf(g, a, g.type(a.tensor('data')))));
define('Tensor.fill_', 'input, value', (g, a) => g.write(a.tensor('input'), full(g, g.dims(a.tensor('input')), a.raw('value')!, a, g.type(a.tensor('input')))));
define('Tensor.zero_', 'input', (g, a) => g.write(a.tensor('input'), filled(g, g.dims(a.tensor('input')), 0, g.type(a.tensor('input')))));
define('Tensor.copy_', 'input, src, non_blocking=False', (g, a) => g.write(a.tensor('input'), expand(g, cast(g, a.tensor('src'), g.type(a.tensor('input'))), g.dims(a.tensor('input')))));
define('tensor as_tensor asarray', 'data, dtype=None', (g, a) => { const x = a.tensor('data'); const name = a.dtype(); return name === null ? x : toType(g, x, name); });
/** The classes of tensors are given values, or sizes of what is written later. */
for (const [name, type] of [['FloatTensor', 'F32'], ['LongTensor', 'I64'], ['BoolTensor', 'BOOL'], ['Tensor', 'F32']] as const) {
  define(`torch.${name}`, '*data', (g, a) => {
    const given = (a.raw('data') as PyTuple).items;
    const [only] = given;
    if (given.length === 1 && only !== undefined && typeof only !== 'number' && !(only instanceof Symbolic)) return cast(g, g.asTensor(only) ?? g.stop(`the values of a ${name} are not known`), type);
    return filled(g, a.wholes('data'), 0, type);
  });
}
define('eye', 'n, m=None, dtype=None', (g, a) => {
  const n = a.whole('n');
  const m = a.whole('m', n);
  const base = filled(g, [n, m], 0, 'F32');
  return cast(g, same(g, 'EyeLike', base, {}), typeOf(g, a, 'F32'));
});

/** Numbers in steps: whole ones as int64, else float32 worked out from the index as PyTorch does. */
define('arange range', 'start=None, end=None, step=1, dtype=None', (g, a) => {
  const [start, end] = a.given('end') ? [a.raw('start')!, a.raw('end')!] : [0, a.raw('start')!];
  const step = a.raw('step') ?? 1;
  const wholes = [start, end, step].map((value) => (value instanceof PyFloat ? undefined : asWhole(value)));
  if (wholes.every((value) => value !== undefined)) {
    const [from, to, by] = wholes as [Whole, Whole, Whole];
    const type = typeOf(g, a, 'I64');
    if (typeof by !== 'number' || by === 0) return g.stop('the step of arange is not known');
    const span = minus(to, from);
    const count = by === 1 ? span : floorQuotient(plus(span, by - Math.sign(by)), by);
    if (typeof count === 'number' && typeof from === 'number' && count <= 4096) return cast(g, g.constant('I64', [Math.max(0, count)], Array.from({ length: Math.max(0, count) }, (_, i) => from + i * by)), type);
    const made = g.emit('Range', [g.asTensor(from)!, g.asTensor(to)!, scalar(g, by, 'I64')], {}, { type: 'I64', dims: [count] });
    return cast(g, made, type);
  }
  const numbers = [start, end, step].map((value) => (value instanceof Symbolic ? g.fix(value) : asNumber(value) ?? g.stop('the limits of arange are not known')));
  const count = Math.max(0, Math.ceil((numbers[1]! - numbers[0]!) / numbers[2]!));
  return g.constant(typeOf(g, a, 'F32'), [count], Array.from({ length: count }, (_, i) => numbers[0]! + i * numbers[2]!));
});
define('linspace', 'start, end, steps, dtype=None', (g, a) => {
  const [start, end, steps] = [a.number('start'), a.number('end'), a.number('steps')];
  const step = steps > 1 ? (end - start) / (steps - 1) : 0;
  // The upper half is counted from the end, as PyTorch does.
  return g.constant('F32', [steps], Array.from({ length: steps }, (_, i) => (i < steps / 2 ? start + step * i : end - step * (steps - 1 - i))));
});
for (const [name, upper] of [['tril', 0], ['triu', 1]] as const) {
  define(name, 'input, diagonal=0', (g, a) => {
    const x = a.tensor('input');
    const bool = g.type(x) === 'BOOL';
    const made = same(g, 'Trilu', bool ? cast(g, x, 'I64') : x, { upper: { int: upper } }, [scalar(g, a.number('diagonal', 0), 'I64')]);
    return bool ? cast(g, made, 'BOOL') : made;
  });
}
define('triu_indices tril_indices', 'row, col, offset=0', (g) => g.stop('indices of triangles are not traced'));
define('meshgrid', "*tensors, indexing='ij'", (g, a) => {
  const given = a.raw('tensors');
  const items = given instanceof PyTuple && given.items.length === 1 && !(given.items[0] instanceof Tensor) ? (given.items[0] as PyList).items : (given as PyTuple).items;
  const axes = items.map((item) => g.asTensor(item) ?? g.stop('what meshgrid is given is not known'));
  const xy = a.text('indexing', 'ij') === 'xy' && axes.length >= 2;
  const order = axes.map((_, i) => (xy && i < 2 ? 1 - i : i));
  const dims = order.map((i) => g.dims(axes[i]!)[0] ?? 1);
  return new PyTuple(axes.map((axis, i) => {
    const place = xy && i < 2 ? 1 - i : i;
    const flat = rank(g, axis) === 0 ? unsqueeze(g, axis, [0]) : axis;
    return expand(g, unsqueeze(g, flat, dims.map((_, d) => d).filter((d) => d !== place)), dims);
  }));
});
/** Noise around zero stands for its mean: what a model gives of it is then the same each time, as its users take it (`mu` of an autoencoder). It is said. */
const atMean = (g: Tracer, name: string, dims: readonly Whole[], type: OnnxType): Tensor => {
  // What a constructor draws once and keeps is no noise.
  if (!g.strict) return g.stop(`${name} gives other values each time`);
  g.guard(`${name} is not drawn: its mean, 0, is taken`);
  return filled(g, dims, 0, type);
};
define('randn', '*size, dtype=None, generator=None', (g, a) => atMean(g, 'randn', a.wholes('size'), typeOf(g, a, 'F32')));
define('randn_like', 'input, dtype=None', (g, a) => atMean(g, 'randn_like', g.dims(a.tensor('input')), typeOf(g, a, g.type(a.tensor('input')))));
define('Tensor.normal_', 'input, mean=0, std=1', (g, a) => {
  const x = a.tensor('input');
  if (!g.strict) return g.stop('normal_ gives other values each time');
  g.guard('normal_ is not drawn: its mean is taken');
  return g.write(x, filled(g, g.dims(x), a.number('mean', 0), g.type(x)));
});
for (const name of ['rand', 'randint', 'randperm', 'rand_like', 'normal', 'bernoulli', 'multinomial', 'randint_like']) define(name, '*args, **kwargs', (g) => g.stop(`${name} gives other values each time`));
define('diag', 'input, diagonal=0', (g, a) => {
  const x = a.tensor('input');
  if (rank(g, x) !== 1) return g.op('diagonal', x);
  return elementwise(g, 'Mul', g.op('eye', g.dims(x)[0]!), unsqueeze(g, x, [0]));
});
define('hann_window hamming_window', 'window_length, periodic=True, *, dtype=None', (g) => g.stop('windows are not traced'));

/** Limits of a type. Everything real is float32 here. */
define('finfo', 'type=None', (g, a) => {
  void a;
  void g;
  return facts([['min', new PyFloat(-3.4028234663852886e38)], ['max', new PyFloat(3.4028234663852886e38)], ['eps', new PyFloat(1.1920928955078125e-7)], ['tiny', new PyFloat(1.1754943508222875e-38)], ['bits', 32]]);
});
define('iinfo', 'type=None', (_, a) => {
  const bits = Number(/\d+/.exec(canonicalDtype(a.dtype('type') ?? 'int64'))?.[0] ?? 64);
  return facts([['min', bits === 64 ? Number.MIN_SAFE_INTEGER : -(2 ** (bits - 1))], ['max', bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** (bits - 1) - 1], ['bits', bits]]);
});
function facts(pairs: readonly (readonly [string, Value])[]): PyDict { const made = new PyDict(pairs); made.attributeAccess = true; return made; }
