/** The few steps that most operators are made of. Complex tensors carry one more dimension in the graph than `dims` says. */
import type { OnnxType } from '../../../kernels/graph/onnx-types';
import type { Tensor } from '../../python/values/values';
import { exactQuotient, floorQuotient, hintOf, minus, plus, product, sameWhole, Symbolic, type Whole, wholeText } from '../../python/values/symbolic';
import type { Attributes } from '../graph-builder';
import { MustBeFixed } from '../stop';
import type { Tracer } from '../tracer';
import { isFloat } from '../types';

/** One input, one output of the same type and shape. */
export function same(g: Tracer, op: string, x: Tensor, attributes: Attributes = {}, others: readonly (Tensor | string | null)[] = []): Tensor {
  const { type, dims, complex } = g.read(x);
  return g.emit(op, [x, ...others], attributes, { type, dims, complex });
}
export function cast(g: Tracer, x: Tensor, type: OnnxType): Tensor {
  const value = g.read(x);
  if (value.type === type) return x;
  const code = { F32: 1, U8: 2, I8: 3, I16: 5, I32: 6, I64: 7, BOOL: 9, F16: 10, F64: 11 }[type as string];
  if (code === undefined) return g.stop(`a cast to ${type} is not traced`);
  const made = g.emit('Cast', [x], { to: { int: code } }, { type, dims: value.dims, complex: value.complex });
  return made;
}
export const float = (g: Tracer, x: Tensor): Tensor => (isFloat(g.type(x)) ? x : cast(g, x, 'F32'));
export const scalar = (g: Tracer, value: number, type: OnnxType = 'F32'): Tensor => g.constant(type, [], [value]);
export const vector = (g: Tracer, values: readonly number[]): string => g.builder.constant('I64', [values.length], values).name;
export const rank = (g: Tracer, x: Tensor): number => g.dims(x).length;
export const numeric = (g: Tracer, dim: Whole): number => (typeof dim === 'number' ? dim : g.fix(dim));

/** A size of -1 is what is left. */
export function resolveSizes(g: Tracer, x: Tensor, wanted: readonly Whole[]): Whole[] {
  const open = wanted.findIndex((size) => size === -1);
  if (open < 0) return [...wanted];
  const others = product(wanted.filter((_, i) => i !== open));
  const total = product(g.dims(x));
  if (others === 0) return g.stop('a reshape of nothing');
  const rest = exactQuotient(total, others) ?? floorQuotient(total, others);
  if (hintOf(total) % hintOf(others) !== 0) mismatch(g, total, others, `a tensor of shape ${shapeText(g.dims(x))} cannot be seen as (${wanted.map(wholeText).join(', ')})`);
  return wanted.map((size, i) => (i === open ? rest : size));
}
/** Sizes that do not go together: a free dimension may have to be a number; else it is an error. */
export function mismatch(g: Tracer, a: Whole, b: Whole, message: string): never {
  for (const [side, other] of [[a, b], [b, a]] as const) {
    if (side instanceof Symbolic && typeof other === 'number' && side.free.length === 1 && side.key === side.free[0]) throw new MustBeFixed(side.key, other, message);
  }
  return g.stop(message);
}
export const shapeText = (dims: readonly Whole[]): string => `(${dims.map(wholeText).join(', ')})`;

export function reshape(g: Tracer, x: Tensor, wanted: readonly Whole[]): Tensor {
  const { dims: from, type, complex } = g.read(x);
  const dims = resolveSizes(g, x, wanted);
  if (dims.length === from.length && dims.every((dim, i) => sameWhole(dim, from[i]!))) return x;
  const [before, after] = [product(from), product(dims)];
  if (!sameWhole(before, after) && hintOf(before) !== hintOf(after)) mismatch(g, before, after, `a tensor of shape ${shapeText(from)} cannot be seen as ${shapeText(dims)}`);
  const all = complex ? [...dims, 2] : dims;
  // 0 takes over the input's size, one -1 takes what is left: most shapes need no arithmetic when the model runs.
  const short = all.map((dim, i) => (typeof dim === 'number' ? dim : from[i] !== undefined && sameWhole(dim, from[i]) ? 0 : -1));
  const plain = short.filter((dim) => dim === -1).length <= 1 && !dims.includes(0);
  const target = plain ? vector(g, short) : g.builder.shape(all);
  return g.emit('Reshape', [x, target], {}, { type, dims, complex });
}
export function transpose(g: Tracer, x: Tensor, order: readonly number[]): Tensor {
  const { dims, type, complex } = g.read(x);
  if (order.length !== dims.length || new Set(order).size !== order.length || order.some((axis) => axis < 0 || axis >= dims.length)) return g.stop(`(${order.join(', ')}) is no order of the ${dims.length} dimensions of ${shapeText(dims)}`);
  if (order.every((axis, i) => axis === i)) return x;
  return g.emit('Transpose', [x], { perm: { ints: complex ? [...order, dims.length] : order } }, { type, dims: order.map((axis) => dims[axis]!), complex });
}
export function swap(g: Tracer, x: Tensor, a: number, b: number): Tensor {
  const order = Array.from({ length: rank(g, x) }, (_, i) => (i === a ? b : i === b ? a : i));
  return transpose(g, x, order);
}
export function unsqueeze(g: Tracer, x: Tensor, axes: readonly number[]): Tensor {
  const { dims, type, complex } = g.read(x);
  const made = [...dims];
  for (const axis of [...axes].sort((a, b) => a - b)) made.splice(axis, 0, 1);
  return axes.length === 0 ? x : g.emit('Unsqueeze', [x, vector(g, axes)], {}, { type, dims: made, complex });
}
export function squeeze(g: Tracer, x: Tensor, axes: readonly number[]): Tensor {
  const { dims, type, complex } = g.read(x);
  return axes.length === 0 ? x : g.emit('Squeeze', [x, vector(g, axes)], {}, { type, dims: dims.filter((_, i) => !axes.includes(i)), complex });
}
/** `x[..., start:end:step, ...]`; sizes are counted from the front and within the dimension. `end` null is the dimension's own. */
export function slice(g: Tracer, x: Tensor, axis: number, start: Whole, end: Whole | null, step = 1): Tensor {
  const { dims, type, complex } = g.read(x);
  const size = dims[axis]!;
  const stop = end ?? size;
  if (start === 0 && step === 1 && (end === null || sameWhole(stop, size))) return x;
  const length = step === 1 ? minus(stop, start) : floorQuotient(plus(minus(stop, start), step - 1), step);
  if (hintOf(length) < 0) return slice(g, x, axis, 0, 0);
  // A slice to the end says so without the end.
  const to = end === null || sameWhole(stop, size) ? vector(g, [Number.MAX_SAFE_INTEGER]) : g.builder.size(stop);
  const made = g.emit('Slice', [x, g.builder.size(start), to, vector(g, [axis]), vector(g, [step])], {}, { type, dims: dims.map((dim, i) => (i === axis ? length : dim)), complex });
  // Constructors count with the pieces of small tensors (rates of dropping paths, depths).
  if (!g.strict && x.data && dims.length === 1 && typeof start === 'number' && typeof stop === 'number') {
    made.data = x.data.filter((_, i) => i >= start && i < stop && (i - start) % step === 0);
    made.whole = x.whole;
  }
  return made;
}
/** One index of a dimension, which goes away. */
export function select(g: Tracer, x: Tensor, axis: number, index: number): Tensor {
  const { dims, type, complex } = g.read(x);
  const size = dims[axis];
  if (size === undefined) return g.stop(`a tensor of shape ${shapeText(dims)} has no dimension ${axis}`);
  if (typeof size === 'number' && (index >= size || index < -size)) return g.stop(`index ${index} is not within a dimension of ${size}`);
  const made = g.emit('Gather', [x, scalar(g, index, 'I64')], { axis: { int: axis } }, { type, dims: dims.filter((_, i) => i !== axis), complex });
  const number = g.strict || dims.length !== 1 ? undefined : x.data?.at(index);
  if (number !== undefined) { made.data = [number]; made.whole = x.whole; }
  return made;
}
export function concat(g: Tracer, parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (!first) return g.stop('nothing is joined');
  if (parts.length === 1) return first;
  const { dims, complex } = g.read(first);
  const type = parts.reduce<OnnxType>((wide, part) => widest(wide, g.type(part)), g.type(first));
  parts.forEach((part) => g.dims(part).forEach((dim, i) => { if (i !== axis && hintOf(dim) !== hintOf(dims[i]!)) mismatch(g, dim, dims[i]!, `tensors of shapes ${shapeText(dims)} and ${shapeText(g.dims(part))} cannot be joined along ${axis}`); }));
  const total = parts.map((part) => g.dims(part)[axis]!).reduce(plus, 0);
  return g.emit('Concat', parts.map((part) => cast(g, part, type)), { axis: { int: axis } }, { type, dims: dims.map((dim, i) => (i === axis ? total : typeof dim === 'number' ? dim : parts.map((part) => g.dims(part)[i]!).find((each) => typeof each === 'number') ?? dim)), complex });
}
const ORDER = ['BOOL', 'U8', 'I8', 'I16', 'I32', 'I64', 'F16', 'F32', 'F64'];
const widest = (a: OnnxType, b: OnnxType): OnnxType => (ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b);

/** The shape two tensors broadcast to. */
export function broadcast(g: Tracer, a: readonly Whole[], b: readonly Whole[]): Whole[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => {
    const [x, y] = [a[i - length + a.length] ?? 1, b[i - length + b.length] ?? 1];
    if (x === 1) return y;
    if (y === 1 || sameWhole(x, y)) return x;
    if (hintOf(x) !== hintOf(y)) return mismatch(g, x, y, `tensors of shapes ${shapeText(a)} and ${shapeText(b)} do not go together`);
    return typeof x === 'number' ? x : y;
  });
}
export function expand(g: Tracer, x: Tensor, wanted: readonly Whole[]): Tensor {
  const { dims, type, complex } = g.read(x);
  const offset = wanted.length - dims.length;
  const target = wanted.map((size, i): Whole => (size === -1 ? dims[i - offset] ?? g.stop('a new dimension has no size to keep') : size));
  if (offset === 0 && target.every((size, i) => sameWhole(size, dims[i]!))) return x;
  target.forEach((size, i) => { const own = dims[i - offset]; if (own !== undefined && own !== 1 && !sameWhole(own, size) && hintOf(own) !== hintOf(size)) mismatch(g, own, size, `a tensor of shape ${shapeText(dims)} cannot be expanded to ${shapeText(target)}`); });
  // Sizes that stay may be 1 here: the operator broadcasts both ways.
  const short = target.map((size, i) => (dims[i - offset] !== undefined && sameWhole(size, dims[i - offset]!) ? 1 : size));
  return g.emit('Expand', [x, g.builder.shape(complex ? [...short, 1] : short)], {}, { type, dims: target, complex });
}
export function gather(g: Tracer, x: Tensor, index: Tensor, axis: number): Tensor {
  const { dims, type, complex } = g.read(x);
  return g.emit('Gather', [x, cast(g, index, 'I64')], { axis: { int: axis } }, { type, dims: [...dims.slice(0, axis), ...g.dims(index), ...dims.slice(axis + 1)], complex });
}
export function filled(g: Tracer, dims: readonly Whole[], value: number, type: OnnxType): Tensor {
  if (dims.length === 0) return g.constant(type, [], [value]);
  const number = value === Infinity || value === -Infinity ? (String(value) as 'Infinity') : value;
  return g.emit('ConstantOfShape', [g.builder.shape(dims)], { value: { tensor: { type, shape: [1], values: [number] } } }, { type, dims });
}
/** Marks a result as a view: what is written into it is written into the base too. */
export function asView(base: Tensor, made: Tensor, g: Tracer, part: (base: Tensor) => Tensor, whole: (base: Tensor, part: Tensor) => Tensor): Tensor {
  if (made === base) return base;
  made.view = { base, of: g.read(base), part, whole };
  return made;
}
