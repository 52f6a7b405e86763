/** Tensors as shapes: constructors, indexing, arithmetic, and the methods that change a shape. */
import type { SourceSpan } from '../module-tree';
import {
  BoundMethod, Builtin, Opaque, PyFloat, PyList, PySlice, PyTuple, Tensor, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { sliceIndices } from '../evaluation/items';
import { arithmetic } from '../evaluation/operators';
import { argument, builtin } from './support';
import { tensorClass } from './types';

type Shape = readonly (number | null)[] | null;
const MAX_DATA = 4096;

/** A size given as numbers or as one sequence of them. Null when even the number of dimensions is unknown. */
export function shapeFrom(_machine: Machine, values: readonly Value[], rest?: Value): Shape {
  if (rest !== undefined) return null;
  if (values.length === 1 && !(typeof values[0] === 'number')) {
    const [only] = values;
    if (only instanceof PyTuple || only instanceof PyList) {
      if (only instanceof PyList && only.rest !== undefined) return null;
      return only.items.map(dimension);
    }
    // A number, a shape, for `torch.Tensor` an array: nothing is known, not even the number of dimensions.
    if (only instanceof UnknownValue) return null;
  }
  return values.map(dimension);
}
const dimension = (value: Value): number | null => { const n = asNumber(value); return n !== undefined && Number.isInteger(n) && n >= 0 ? n : null; };

/** The shape two tensors broadcast to. */
function broadcast(a: Shape, b: Shape): Shape {
  if (a === null || b === null) return null;
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => {
    const [x, y] = [a[i - length + a.length], b[i - length + b.length]];
    return x === undefined ? y! : y === undefined ? x : x === 1 ? y : y === 1 ? x : x ?? y;
  });
}

export function tensorBinary(machine: Machine, operator: string, a: Value, b: Value): Value {
  const span = (a instanceof Tensor ? a.span : b instanceof Tensor ? b.span : machine.site)!;
  if (operator === '@') {
    const [x, y] = [a instanceof Tensor ? a.shape : null, b instanceof Tensor ? b.shape : null];
    return new Tensor(x && y && x.length >= 2 && y.length >= 2 ? [...x.slice(0, -1), y.at(-1)!] : null, span);
  }
  const shape = (value: Value): Shape => (value instanceof Tensor ? value.shape : asNumber(value) !== undefined ? [] : null);
  const [left, right] = [shape(a), shape(b)];
  if (operator === '==' || operator === '!=') return new Tensor(broadcast(left, right), span);
  const result = left !== null && right === null && !(b instanceof Tensor) ? left : broadcast(left, right);
  const data = (value: Value): readonly number[] | null => (value instanceof Tensor ? value.data : asNumber(value) === undefined ? null : [asNumber(value)!]);
  const [x, y] = [data(a), data(b)];
  if (x && y && result) {
    const size = Math.max(x.length, y.length);
    const whole = operator !== '/' && [a, b].every((value) => (value instanceof Tensor ? value.whole : typeof value === 'number'));
    const values = Array.from({ length: size }, (_, i) => asNumber(arithmetic(operator, x[x.length === 1 ? 0 : i] ?? NaN, y[y.length === 1 ? 0 : i] ?? NaN, false) ?? null) ?? NaN);
    return new Tensor(result, span, values, whole);
  }
  return new Tensor(result, span);
}

export function tensorItem(_machine: Machine, tensor: Tensor, index: Value): Value {
  const { shape } = tensor;
  if (shape === null) return new Tensor(null, tensor.span);
  const indices = index instanceof PyTuple ? index.items : [index];
  const result: (number | null)[] = [];
  let axis = 0;
  for (const item of indices) {
    if (item === null) { result.push(1); continue; }
    if (item instanceof Opaque) { while (axis < shape.length - indices.filter((i) => i !== null && !(i instanceof Opaque)).length) result.push(shape[axis++]!); continue; }
    const size = shape[axis++];
    if (size === undefined) return new Tensor(null, tensor.span);
    if (item instanceof PySlice) {
      const bounds = [item.start, item.stop, item.step].map((bound) => (bound === null ? null : asNumber(bound)));
      result.push(size === null || bounds.includes(undefined) ? null : sliceIndices(size, bounds[0]!, bounds[1]!, bounds[2]!).length);
      if (tensor.data && shape.length === 1 && indices.length === 1 && size !== null && !bounds.includes(undefined)) {
        const picked = sliceIndices(size, bounds[0]!, bounds[1]!, bounds[2]!).map((i) => tensor.data![i]!);
        return new Tensor([picked.length], tensor.span, picked, tensor.whole);
      }
    } else if (item instanceof Tensor) {
      if (item.shape === null) return new Tensor(null, tensor.span);
      result.push(...item.shape);
    } else if (asNumber(item) === undefined) return new Tensor(null, tensor.span);
    else if (tensor.data && shape.length === 1 && indices.length === 1) return new Tensor([], tensor.span, [tensor.data.at(asNumber(item)!) ?? NaN], tensor.whole);
  }
  return new Tensor([...result, ...shape.slice(axis)], tensor.span);
}

const size = (shape: Shape): number | null => (shape === null || shape.includes(null) ? null : shape.reduce<number>((product, n) => product * n!, 1));
function reshaped(machine: Machine, tensor: Tensor, args: Arguments): Tensor {
  const wanted = args.positional.length === 1 && !(typeof args.positional[0] === 'number') ? valuesOf(machine, args.positional[0]!) : { items: args.positional, rest: args.rest };
  if (wanted.rest !== undefined) return new Tensor(null, tensor.span);
  const dims = [...wanted.items].map((value) => asNumber(value) ?? null);
  const total = size(tensor.shape);
  const others = dims.filter((n) => n !== -1);
  const known = others.includes(null) ? null : others.reduce<number>((product, n) => product * n!, 1);
  return new Tensor(dims.map((n) => (n === -1 ? (total !== null && known ? Math.floor(total / known) : null) : n)), tensor.span, others.length === dims.length && dims.length === 1 ? tensor.data : tensor.data && dims.length === 1 ? tensor.data : null, tensor.whole);
}
const axisOf = (value: Value | undefined, rank: number): number | undefined => { const n = value === undefined ? undefined : asNumber(value); return n === undefined ? undefined : n < 0 ? n + rank : n; };
function withShape(tensor: Tensor, change: (shape: (number | null)[]) => (number | null)[] | null): Tensor {
  return new Tensor(tensor.shape === null ? null : change([...tensor.shape]), tensor.span);
}

type TensorMethod = (machine: Machine, self: Tensor, args: Arguments) => Value;
const same: TensorMethod = (_, self) => self;
const elementwise: TensorMethod = (_, self) => new Tensor(self.shape, self.span);
const reduce: TensorMethod = (_, self, args) => {
  const axis = argument(args, 0, 'dim');
  if (axis === undefined) return new Tensor([], self.span, self.data && self.data.length > 0 ? null : null);
  const axes = axis instanceof PyTuple || axis instanceof PyList ? axis.items.map((item) => axisOf(item, self.shape?.length ?? 0)) : [axisOf(axis, self.shape?.length ?? 0)];
  const keep = argument(args, 1, 'keepdim') === true;
  return withShape(self, (shape) => (axes.includes(undefined) ? null : keep ? shape.map((n, i) => (axes.includes(i) ? 1 : n)) : shape.filter((_, i) => !axes.includes(i))));
};
const methods: Readonly<Record<string, TensorMethod>> = {
  view: reshaped, reshape: reshaped,
  unsqueeze: (_, self, a) => withShape(self, (shape) => { const axis = axisOf(argument(a, 0, 'dim'), shape.length + 1); if (axis === undefined) return null; shape.splice(axis, 0, 1); return shape; }),
  squeeze: (_, self, a) => withShape(self, (shape) => { const axis = axisOf(argument(a, 0, 'dim'), shape.length); return argument(a, 0, 'dim') === undefined ? (shape.includes(null) ? null : shape.filter((n) => n !== 1)) : axis === undefined ? null : shape.filter((n, i) => i !== axis || n !== 1); }),
  t: (_, self) => withShape(self, (shape) => shape.reverse()),
  transpose: (_, self, a) => withShape(self, (shape) => { const [x, y] = [axisOf(argument(a, 0, 'dim0'), shape.length), axisOf(argument(a, 1, 'dim1'), shape.length)]; if (x === undefined || y === undefined) return null; [shape[x], shape[y]] = [shape[y]!, shape[x]!]; return shape; }),
  permute: (m, self, a) => withShape(self, (shape) => { const order = a.positional.length === 1 ? [...valuesOf(m, a.positional[0]!).items] : a.positional; const axes = order.map((value) => axisOf(value, shape.length)); return axes.includes(undefined) ? null : axes.map((axis) => shape[axis!] ?? null); }),
  repeat: (m, self, a) => withShape(self, (shape) => { const counts = shapeFrom(m, a.positional, a.rest); if (!counts) return null; const padded = [...Array.from({ length: Math.max(0, counts.length - shape.length) }, () => 1), ...shape]; return padded.map((n, i) => { const count = counts[i - padded.length + counts.length]; return n === null || count === null || count === undefined ? null : n * count; }); }),
  expand: (m, self, a) => withShape(self, (shape) => { const wanted = a.positional.length === 1 && !(typeof a.positional[0] === 'number') ? [...valuesOf(m, a.positional[0]!).items] : a.positional; return wanted.map((value, i) => { const n = asNumber(value); return n === undefined ? null : n === -1 ? shape[i - wanted.length + shape.length] ?? null : n; }); }),
  flatten: (_, self, a) => withShape(self, (shape) => { const start = axisOf(argument(a, 0, 'start_dim') ?? 0, shape.length); const end = axisOf(argument(a, 1, 'end_dim') ?? -1, shape.length); if (start === undefined || end === undefined) return null; return [...shape.slice(0, start), size(shape.slice(start, end + 1)), ...shape.slice(end + 1)]; }),
  size: (m, self, a) => { const axis = argument(a, 0, 'dim'); if (self.shape === null) return m.unknown('the size of a tensor that is not known', self.span); if (axis === undefined) return shapeValue(m, self); const n = self.shape[axisOf(axis, self.shape.length) ?? -1]; return n ?? m.unknown('the size of a tensor that is not known', self.span); },
  dim: (m, self) => self.shape?.length ?? m.unknown('the rank of a tensor that is not known'), ndimension: (m, self) => self.shape?.length ?? m.unknown('the rank of a tensor that is not known'),
  numel: (m, self) => size(self.shape) ?? m.unknown('the size of a tensor that is not known'), nelement: (m, self) => size(self.shape) ?? m.unknown('the size of a tensor that is not known'),
  item: (m, self) => (self.data ? (self.whole ? self.data[0] ?? 0 : new PyFloat(self.data[0] ?? 0)) : m.unknown('the value of a tensor', self.span)),
  tolist: (m, self) => (self.data && self.shape?.length === 1 ? new PyList(self.data.map((n) => (self.whole ? n : new PyFloat(n))), undefined, m.loopDepth) : self.shape?.length === 1 && typeof self.shape[0] === 'number' && self.shape[0] <= MAX_DATA ? new PyList(Array.from({ length: self.shape[0] }, () => m.unknown('the value of a tensor', self.span)), undefined, m.loopDepth) : m.unknown('the values of a tensor', self.span)),
  new_zeros: (m, self, a) => new Tensor(shapeFrom(m, a.positional, a.rest), self.span), new_ones: (m, self, a) => new Tensor(shapeFrom(m, a.positional, a.rest), self.span), new_empty: (m, self, a) => new Tensor(shapeFrom(m, a.positional, a.rest), self.span),
  sum: reduce, mean: reduce, std: reduce, var: reduce, prod: reduce, argmax: reduce, cumsum: elementwise,
  chunk: (m, self, a) => { const count = asNumber(argument(a, 0, 'chunks') ?? null); const axis = axisOf(argument(a, 1, 'dim') ?? 0, self.shape?.length ?? 0) ?? 0; return count === undefined || count > 64 ? m.unknown('pieces of a tensor') : new PyTuple(Array.from({ length: count }, () => withShape(self, (shape) => shape.map((n, i) => (i === axis ? (n === null ? null : Math.ceil(n / count)) : n))))); },
  matmul: (m, self, a) => tensorBinary(m, '@', self, a.positional[0] ?? null), mm: (m, self, a) => tensorBinary(m, '@', self, a.positional[0] ?? null),
  add: (m, self, a) => tensorBinary(m, '+', self, a.positional[0] ?? null), mul: (m, self, a) => tensorBinary(m, '*', self, a.positional[0] ?? null), sub: (m, self, a) => tensorBinary(m, '-', self, a.positional[0] ?? null), div: (m, self, a) => tensorBinary(m, '/', self, a.positional[0] ?? null), pow: (m, self, a) => tensorBinary(m, '**', self, a.positional[0] ?? null),
};
for (const name of ['to', 'cuda', 'cpu', 'float', 'half', 'double', 'long', 'int', 'bool', 'bfloat16', 'type', 'contiguous', 'requires_grad_', 'uniform_', 'normal_', 'zero_', 'fill_', 'copy_', 'mul_', 'add_', 'sub_', 'div_',
  'clamp_', 'type_as', 'pin_memory', 'share_memory_', 'data_ptr', 'numpy', 'trunc_normal_', 'random_', 'masked_fill_', 'triu_', 'tril_', 'exponential_', 'eval', 'train', 'erfinv_', 'clip_', 'view_as', 'resolve_conj']) (methods as Record<string, TensorMethod>)[name] ??= same;

/** Functions of single numbers: applied where the numbers are known. Rounding is to even, as torch does it. */
const roundEven = (n: number): number => (Math.abs(n % 1) === 0.5 ? 2 * Math.round(n / 2) : Math.round(n));
const NUMERIC: Readonly<Record<string, (n: number) => number>> = {
  log: Math.log, log2: Math.log2, log10: Math.log10, exp: Math.exp, sqrt: Math.sqrt, round: roundEven, floor: Math.floor, ceil: Math.ceil, abs: Math.abs, neg: (n) => -n, sin: Math.sin, cos: Math.cos, trunc: Math.trunc, square: (n) => n * n,
};
for (const [name, compute] of Object.entries(NUMERIC)) (methods as Record<string, TensorMethod>)[name] = (_, self) => new Tensor(self.shape, self.span, self.data?.map(compute) ?? null, self.whole && name === 'abs');
for (const name of ['int', 'long']) (methods as Record<string, TensorMethod>)[name] = (_, self) => new Tensor(self.shape, self.span, self.data?.map(Math.trunc) ?? null, true);
for (const name of ['float', 'double', 'half']) (methods as Record<string, TensorMethod>)[name] = (_, self) => new Tensor(self.shape, self.span, self.data, false);
(methods as Record<string, TensorMethod>).unique = (_, self) => { const values = self.data ? [...new Set(self.data)].sort((a, b) => a - b) : null; return new Tensor(values ? [values.length] : [null], self.span, values, self.whole); };

for (const [alias, name] of [['divide', 'div'], ['multiply', 'mul'], ['subtract', 'sub']] as const) (methods as Record<string, TensorMethod>)[alias] = methods[name]!;
(methods as Record<string, TensorMethod>).diff = (_, self) => { const { data } = self; const values = data ? data.slice(1).map((n, i) => n - data[i]!) : null; return new Tensor(values ? [values.length] : self.shape?.length === 1 && self.shape[0] !== null ? [Math.max(0, self.shape[0]! - 1)] : null, self.span, values, self.whole); };

const shapeValue = (m: Machine, self: Tensor): Value => (self.shape === null ? m.unknown('the shape of a tensor that is not known', self.span) : new PyTuple(self.shape.map((n) => n ?? m.unknown('a dimension that is not known', self.span))));

export function tensorAttribute(machine: Machine, self: Tensor, name: string): Value | undefined {
  switch (name) {
    case 'shape': return shapeValue(machine, self);
    case 'ndim': return self.shape?.length ?? machine.unknown('the rank of a tensor that is not known', self.span);
    case 'data': case 'grad_fn': return name === 'data' ? self : null;
    case 'T': case 'mT': return new Tensor(self.shape === null ? null : [...self.shape].reverse(), self.span);
    case 'dtype': case 'device': case 'grad': case 'layout': return new Opaque(`tensor.${name}`);
    case 'requires_grad': return self.parameter;
    case 'real': case 'imag': return self;
    default: {
      const method = Object.hasOwn(methods, name) ? methods[name]! : elementwise;
      return new BoundMethod(new Builtin(name, (m, args) => method(m, args.positional[0] as Tensor, { ...args, positional: args.positional.slice(1) }), true), self);
    }
  }
}

// ---- torch.zeros and its like ----

const sized = (name: string): Builtin => builtin(name, (m, args, site) => {
  const given = args.keywords.get('size') ?? args.keywords.get('shape');
  return new Tensor(shapeFrom(m, given === undefined ? args.positional : [given], args.rest), site);
});
const like = (name: string): Builtin => builtin(name, (_, args, site) => new Tensor(args.positional[0] instanceof Tensor ? args.positional[0].shape : null, site));

function literalShape(machine: Machine, value: Value): Shape {
  if (asNumber(value) !== undefined) return [];
  if (value instanceof Tensor) return value.shape;
  if (value instanceof PyList || value instanceof PyTuple) {
    if (value instanceof PyList && value.rest !== undefined) return null;
    const [first] = value.items;
    const inner = first === undefined ? [] : literalShape(machine, first);
    return inner === null ? null : [value.items.length, ...inner];
  }
  return value instanceof UnknownValue ? null : [];
}
function literal(machine: Machine, value: Value, site: SourceSpan): Tensor {
  const shape = literalShape(machine, value);
  const items = value instanceof PyList || value instanceof PyTuple ? value.items : [value];
  const data = items.map(asNumber);
  const flat = shape !== null && shape.length <= 1 && data.length <= MAX_DATA && !data.includes(undefined);
  return new Tensor(shape, site, flat ? (data as number[]) : null, flat && items.every((item) => typeof item === 'number'));
}

function range(name: string): Builtin {
  return builtin(name, (_, args, site) => {
    const numbers = ['start', 'end', 'step'].map((key, i) => argument(args, i, key)).filter((value): value is Value => value !== undefined).map(asNumber);
    if (numbers.includes(undefined) || numbers.length === 0) return new Tensor([null], site);
    const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
    const count = Math.max(0, Math.ceil((stop - start) / (step || 1)));
    return new Tensor([count], site, count <= MAX_DATA ? Array.from({ length: count }, (_, i) => start + i * step) : null, args.positional.every((value) => typeof value === 'number'));
  });
}
const linspace = builtin('linspace', (_, args, site) => {
  const [start, end, steps] = [argument(args, 0, 'start'), argument(args, 1, 'end'), argument(args, 2, 'steps')].map((value) => (value === undefined ? undefined : asNumber(value)));
  if (steps === undefined) return new Tensor([null], site);
  const known = start !== undefined && end !== undefined && steps <= MAX_DATA;
  return new Tensor([steps], site, known ? Array.from({ length: steps }, (_, i) => (steps === 1 ? start : start + ((end - start) * i) / (steps - 1))) : null);
});

function joined(name: 'cat' | 'stack'): Builtin {
  return builtin(name, (m, args, site) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    const tensors = [...sequence.items];
    const shapes = tensors.map((item) => (item instanceof Tensor ? item.shape : null));
    const [first] = shapes;
    if (sequence.rest !== undefined || !first || shapes.includes(null)) return new Tensor(null, site);
    const axis = axisOf(argument(args, 1, 'dim') ?? argument(args, 1, 'axis') ?? 0, first.length + (name === 'stack' ? 1 : 0)) ?? 0;
    if (name === 'stack') return new Tensor([...first.slice(0, axis), tensors.length, ...first.slice(axis)], site);
    const total = shapes.reduce<number | null>((sum, shape) => (sum === null || typeof shape![axis] !== 'number' ? null : sum + shape![axis]!), 0);
    const data = first.length === 1 && tensors.every((item) => (item as Tensor).data) ? tensors.flatMap((item) => [...(item as Tensor).data!]) : null;
    return new Tensor(first.map((n, i) => (i === axis ? total : n)), site, data);
  });
}

Object.assign(tensorClass.native, { construct: (m: Machine, args: Arguments, site: SourceSpan): Value => {
  const [first] = args.positional;
  return first instanceof PyList || first instanceof PyTuple || first instanceof Tensor ? literal(m, first, site) : new Tensor(args.positional.length ? shapeFrom(m, args.positional, args.rest) : [0], site);
} });

/** Methods that exist as functions too: `torch.transpose(x, 0, 1)`. */
const functionForm = (name: string): Builtin => builtin(name, (m, args, site) => {
  const [given, ...rest] = args.positional;
  const self = given !== undefined && !(given instanceof Tensor) && asNumber(given) !== undefined ? literal(m, given, site) : given;
  if (!(self instanceof Tensor)) return new Tensor(null, site);
  return (Object.hasOwn(methods, name) ? methods[name]! : elementwise)(m, self, { ...args, positional: rest });
});

export const tensorFunctions: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...['zeros', 'ones', 'empty', 'rand', 'randn', 'FloatTensor', 'LongTensor', 'HalfTensor', 'IntTensor', 'DoubleTensor', 'BoolTensor', 'ByteTensor', 'BFloat16Tensor', 'empty_strided', 'cuda_FloatTensor']
    .map((name) => [name, name.endsWith('Tensor') ? builtin(name, (m, args, site) => (args.positional[0] instanceof PyList || args.positional[0] instanceof Tensor ? literal(m, args.positional[0], site) : new Tensor(shapeFrom(m, args.positional, args.rest), site))) : sized(name)] as const),
  ...['zeros_like', 'ones_like', 'empty_like', 'rand_like', 'randn_like', 'full_like', 'randint_like', 'clone', 'detach'].map((name) => [name, like(name)] as const),
  ['full', builtin('full', (m, args, site) => new Tensor(shapeFrom(m, [argument(args, 0, 'size') ?? null]), site))],
  ['randint', builtin('randint', (m, args, site) => { const shape = args.keywords.get('size') ?? args.positional.at(-1); return new Tensor(shapeFrom(m, [shape ?? null]), site); })],
  ['randperm', builtin('randperm', (m, args, site) => new Tensor(shapeFrom(m, args.positional.slice(0, 1)), site))],
  ['normal', builtin('normal', (m, args, site) => new Tensor(args.keywords.has('size') ? shapeFrom(m, [args.keywords.get('size')!]) : args.positional.length > 2 ? shapeFrom(m, [args.positional[2]!]) : args.positional[0] instanceof Tensor ? args.positional[0].shape : null, site))],
  ['eye', builtin('eye', (m, args, site) => { const [n, k] = [shapeFrom(m, args.positional.slice(0, 1)), shapeFrom(m, args.positional.slice(1, 2))]; return new Tensor([n?.[0] ?? null, args.positional.length > 1 && typeof args.positional[1] === 'number' ? k?.[0] ?? null : n?.[0] ?? null], site); })],
  ['tensor', builtin('tensor', (m, args, site) => literal(m, argument(args, 0, 'data') ?? null, site))],
  ['as_tensor', builtin('as_tensor', (m, args, site) => literal(m, args.positional[0] ?? null, site))],
  ['from_numpy', builtin('from_numpy', (_, args, site) => (args.positional[0] instanceof Tensor ? args.positional[0] : new Tensor(null, site)))],
  ['hann_window', sized('hann_window')], ['hamming_window', sized('hamming_window')],
  ['arange', range('arange')], ['linspace', linspace], ['logspace', linspace],
  ['cat', joined('cat')], ['concat', joined('cat')], ['concatenate', joined('cat')], ['stack', joined('stack')],
  ['outer', builtin('outer', (_, args, site) => { const [a, b] = args.positional; return new Tensor([a instanceof Tensor ? a.shape?.[0] ?? null : null, b instanceof Tensor ? b.shape?.[0] ?? null : null], site); })],
  ['meshgrid', builtin('meshgrid', (m, args, site) => {
    const inputs = args.positional.length === 1 && !(args.positional[0] instanceof Tensor) ? [...valuesOf(m, args.positional[0]!).items] : args.positional;
    const dims = inputs.map((item) => (item instanceof Tensor ? item.shape?.[0] ?? null : null));
    if (args.keywords.get('indexing') === 'xy' && dims.length >= 2) [dims[0], dims[1]] = [dims[1]!, dims[0]!];
    return new PyTuple(inputs.map(() => new Tensor(dims, site)));
  })],
  ['polar', builtin('polar', (_, args, site) => new Tensor(args.positional[0] instanceof Tensor ? args.positional[0].shape : null, site))],
  ['is_tensor', builtin('is_tensor', (_, args) => args.positional[0] instanceof Tensor)],
  ['Size', builtin('Size', (m, args) => new PyTuple([...valuesOf(m, args.positional[0] ?? null).items]))],
  ['Tensor', tensorClass],
  ...['view', 'reshape', 'unsqueeze', 'squeeze', 't', 'transpose', 'permute', 'flatten', 'sum', 'mean', 'numel', 'matmul', 'mm', 'add', 'mul', 'sub', 'div', 'pow', 'sin', 'cos', 'exp', 'log', 'sqrt', 'tril', 'triu', 'abs', 'sigmoid', 'tanh', 'relu',
    'softmax', 'clamp', 'floor', 'ceil', 'round', 'log2', 'rsqrt', 'neg', 'cumsum', 'chunk', 'erf', 'logit', 'log1p', 'expm1', 'flip', 'cumprod', 'square', 'reciprocal', 'sign', 'nan_to_num', 'bitwise_not', 'logical_not', 'asin', 'acos', 'atan', 'exp2', 'diff_', 'real', 'contiguous', 'squeeze_', 'clip', 'special_expm1', 'isnan', 'divide', 'multiply', 'subtract', 'diff', 'unique', 'log10', 'trunc', 'repeat_interleave_', 'tile_', 'roll', 'where', 'prod', 'arctanh', 'view_as_real', 'view_as_complex', 'bernoulli'].map((name) => [name, functionForm(name)] as const),
]);
