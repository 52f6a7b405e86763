/** Subscripts in both directions, and the functions that pick elements by index. */
import { asNumber } from '../../python/evaluation/iteration';
import { Opaque, PyList, PySlice, PyTuple, Tensor, type Value } from '../../python/values/values';
import { hintOf, minus, plus, product, sameWhole, smallest, Symbolic, type Whole } from '../../python/values/symbolic';
import { asWhole } from '../bound';
import { define } from '../registry';
import type { Tracer } from '../tracer';
import { asView, broadcast, cast, concat, expand, gather, numeric, rank, reshape, scalar, select, shapeText, slice, transpose, unsqueeze } from './basic';
import { combine, aligned } from './arithmetic';

/** One part of a subscript, bound to a dimension of the tensor. */
type Step =
  | { readonly kind: 'slice'; readonly axis: number; readonly start: Whole; readonly end: Whole | null; readonly step: number }
  | { readonly kind: 'select'; readonly axis: number; readonly index: Whole }
  | { readonly kind: 'new' }
  | { readonly kind: 'gather'; readonly axis: number; readonly index: Tensor };

function plan(g: Tracer, x: Tensor, index: Value): Step[] {
  const given = index instanceof PyTuple ? index.items : [index];
  const dims = g.dims(x);
  const items: Value[] = given.map((item) => (item instanceof PyList ? g.asTensor(item) ?? g.stop('an index is not known') : item));
  const used = items.reduce<number>((sum, item) => sum + (item === null || item instanceof Opaque || typeof item === 'boolean' ? 0 : item instanceof Tensor && isMask(g, item) ? rank(g, item) : 1), 0);
  if (used > dims.length) return g.stop(`too many indices for a tensor of shape ${shapeText(dims)}`);
  const steps: Step[] = [];
  let axis = 0;
  for (const item of items) {
    if (item === null) { steps.push({ kind: 'new' }); continue; }
    if (item instanceof Opaque) { for (let skip = dims.length - used; skip > 0; skip -= 1) steps.push({ kind: 'slice', axis: axis++, start: 0, end: null, step: 1 }); continue; }
    if (item instanceof PySlice) { steps.push(sliceStep(g, dims[axis]!, axis++, item)); continue; }
    if (item instanceof Tensor && !(item.data && item.shape?.length === 0)) {
      if (isMask(g, item)) return g.stop('a subscript with a mask gives a number of elements that only the values decide');
      steps.push({ kind: 'gather', axis: axis++, index: item });
      continue;
    }
    const at = asWhole(item);
    if (at === undefined) return g.stop('an index is not known');
    steps.push({ kind: 'select', axis: axis++, index: at });
  }
  while (axis < dims.length) steps.push({ kind: 'slice', axis: axis++, start: 0, end: null, step: 1 });
  return steps;
}
const isMask = (g: Tracer, index: Tensor): boolean => g.type(index) === 'BOOL';

function sliceStep(g: Tracer, size: Whole, axis: number, { start, stop, step }: PySlice): Step {
  const stride = step === null ? 1 : asNumber(step) ?? g.stop('the step of a slice is not known');
  if (stride <= 0) return g.stop('a slice with a negative step is not traced');
  const from = start === null ? 0 : bound(g, start, size);
  const to = stop === null ? null : bound(g, stop, size);
  return { kind: 'slice', axis, start: from, end: to, step: stride };
}
/** Python's limits of a slice: negative ones count from the end, and what is beyond the end is the end. */
function bound(g: Tracer, value: Value, size: Whole): Whole {
  const at = asWhole(value);
  if (at === undefined) return value instanceof Tensor ? g.stop('the limits of a slice depend on the values of a tensor') : g.stop('the limits of a slice are not known');
  if (typeof at === 'number' && at < 0) { const from = plus(size, at); return hintOf(from) < 0 ? 0 : from; }
  if (at instanceof Symbolic && at.hint < 0) return plus(size, at);
  if (typeof at === 'number' && typeof size === 'number') return Math.min(at, size);
  if (sameWhole(at, size)) return size;
  if (typeof at === 'number') { if (at <= hintOf(size)) return at; g.guard(`${(size as Symbolic).key} <= ${at}`); return size; }
  if (typeof size === 'number') { if (hintOf(at) <= size) { g.guard(`${at.key} <= ${size}`); return at; } return smallest(at, size); }
  // Both are free: an end that is a size plus something is beyond it.
  const over = minus(at, size);
  return typeof over === 'number' ? (over >= 0 ? size : at) : hintOf(at) > hintOf(size) ? smallest(at, size) : at;
}

export function getItem(g: Tracer, x: Tensor, index: Value): Tensor {
  // A mask over leading dimensions may be asked for only to be written; reading it has no shape.
  const steps = plan(g, x, index);
  const gathers = steps.flatMap((step) => (step.kind === 'gather' ? [step] : []));
  const basic = applyBasic(g, x, steps);
  if (gathers.length === 0) return asView(x, basic, g, (base) => applyBasic(g, base, steps), (base, part) => writeBasic(g, base, steps, part));
  return applyGathers(g, basic, steps);
}
function applyBasic(g: Tracer, x: Tensor, steps: readonly Step[]): Tensor {
  let made = x;
  for (const step of steps) if (step.kind === 'slice') made = slice(g, made, step.axis, step.start, step.end, step.step);
  // From the last dimension on, so that the places of the others stay.
  for (const step of [...steps].reverse()) if (step.kind === 'select') made = selectAt(g, made, step.axis, step.index);
  let at = 0;
  for (const step of steps) {
    if (step.kind === 'new') made = unsqueeze(g, made, [at]);
    if (step.kind !== 'select') at += 1;
  }
  return made;
}
function selectAt(g: Tracer, x: Tensor, axis: number, index: Whole): Tensor {
  if (typeof index === 'number') return select(g, x, axis, index);
  return gather(g, x, g.asTensor(index)!, axis);
}
function applyGathers(g: Tracer, basic: Tensor, steps: readonly Step[]): Tensor {
  const places: number[] = [];
  const indices: Tensor[] = [];
  let at = 0;
  for (const step of steps) {
    if (step.kind === 'gather') { places.push(at); indices.push(cast(g, step.index, 'I64')); }
    if (step.kind !== 'select') at += 1;
  }
  if (indices.length === 1) return gather(g, basic, indices[0]!, places[0]!);
  // Several index tensors go together: one index into the flattened dimensions that they are for.
  const dims = g.dims(basic);
  const order = [...places, ...dims.map((_, i) => i).filter((i) => !places.includes(i))];
  const front = transpose(g, basic, order);
  const sizes = places.map((place) => dims[place]!);
  const rest = order.slice(places.length).map((i) => dims[i]!);
  const flat = reshape(g, front, [product(sizes), ...rest]);
  const shape = indices.map((each) => g.dims(each)).reduce((a, b) => broadcast(g, a, b));
  let combined: Tensor | null = null;
  indices.forEach((each, i) => {
    const size = sizes[i]!;
    const positive = g.op('where', g.op('lt', each, scalar(g, 0, 'I64')), combine(g, '+', each, g.asTensor(size)!), each);
    const scaled = sizes.slice(i + 1).length === 0 ? positive : combine(g, '*', positive, g.asTensor(product(sizes.slice(i + 1)))!);
    combined = combined === null ? scaled : combine(g, '+', combined, scaled);
  });
  const made = gather(g, flat, expand(g, combined!, shape), 0);
  const adjacent = places.every((place, i) => i === 0 || place === places[i - 1]! + 1);
  const selected = steps.some((step, i) => step.kind === 'select' && steps.slice(0, i).some((s) => s.kind === 'gather') && steps.slice(i).some((s) => s.kind === 'gather'));
  if (!adjacent || selected || places[0] === 0) return made;
  const lead = places[0]!;
  const total = shape.length + rest.length;
  const back = [...Array.from({ length: lead }, (_, i) => shape.length + i), ...Array.from({ length: shape.length }, (_, i) => i), ...Array.from({ length: total - shape.length - lead }, (_, i) => shape.length + lead + i)];
  return transpose(g, made, back);
}

/** `x[index] = value`: the tensor with that part replaced. */
export function setItem(g: Tracer, x: Tensor, index: Value, value: Value): Tensor {
  const part = g.asTensor(value) ?? g.stop('what is assigned is not known');
  if (index instanceof Tensor && isMask(g, index)) return masked(g, x, index, part);
  const steps = plan(g, x, index);
  if (steps.some((step) => step.kind === 'gather')) return setGathered(g, x, steps, part);
  return writeBasic(g, x, steps, part);
}
function masked(g: Tracer, x: Tensor, mask: Tensor, value: Tensor): Tensor {
  if (rank(g, value) > 0) return g.stop('assigning many values through a mask is not traced');
  const missing = rank(g, x) - rank(g, mask);
  const full = unsqueeze(g, mask, Array.from({ length: missing }, (_, i) => rank(g, mask) + i));
  return g.emit('Where', [full, cast(g, value, g.type(x)), x], {}, { type: g.type(x), dims: g.dims(x) });
}
function writeBasic(g: Tracer, x: Tensor, steps: readonly Step[], part: Tensor): Tensor {
  const dims = g.dims(x);
  // The part's own shape in terms of x: selected dimensions are 1, new ones go.
  const region = steps.flatMap((step): Whole[] => {
    if (step.kind === 'new') return [];
    if (step.kind === 'select') return [1];
    const sliced = step.kind === 'slice' ? slice(g, x, step.axis, step.start, step.end, step.step) : x;
    return [g.dims(sliced)[step.kind === 'slice' ? step.axis : 0]!];
  });
  const visible = steps.flatMap((step, i): Whole[] => (step.kind === 'new' ? [1] : step.kind === 'select' ? [] : [region[steps.slice(0, i).filter((s) => s.kind !== 'new').length]!]));
  const shaped = reshape(g, expand(g, cast(g, part, g.type(x)), visible), region);
  return replaceRegion(g, x, steps.filter((step) => step.kind !== 'new'), shaped, dims);
}
/** Puts a block into a tensor, dimension by dimension: what is before, the block, what is behind. */
function replaceRegion(g: Tracer, x: Tensor, steps: readonly Step[], block: Tensor, dims: readonly Whole[]): Tensor {
  const at = steps.findIndex((step, i) => step.kind === 'select' || (step.kind === 'slice' && !(step.start === 0 && (step.end === null || sameWhole(step.end, dims[i]!)) && step.step === 1)));
  if (at < 0) return block;
  const step = steps[at]!;
  if (step.kind === 'slice' && step.step !== 1) {
    const count = numeric(g, dims[at]!);
    const from = numeric(g, step.start);
    const to = step.end === null ? count : numeric(g, step.end);
    const picked = Array.from({ length: count }, (_, i) => i).filter((i) => i >= from && i < to && (i - from) % step.step === 0);
    const inner = replaceRegion(g, g.op('index_select', x, at, g.constant('I64', [picked.length], picked)), steps.map((s, i) => (i === at ? { kind: 'slice' as const, axis: at, start: 0, end: null, step: 1 } : s)), block, dims.map((dim, i) => (i === at ? picked.length : dim)));
    const places = g.constant('I64', [count], Array.from({ length: count }, (_, i) => (picked.includes(i) ? count + picked.indexOf(i) : i)));
    return gather(g, concat(g, [x, inner], at), places, at);
  }
  const size = dims[at]!;
  const start = step.kind === 'select' ? (hintOf(step.index) < 0 ? plus(size, step.index) : step.index) : step.kind === 'slice' ? step.start : 0;
  const end = step.kind === 'select' ? plus(start, 1) : step.kind === 'slice' ? step.end ?? size : size;
  // `x[-8:-0] = value` is a range of nothing.
  if (hintOf(end) <= hintOf(start)) return x;
  const whole = { kind: 'slice' as const, axis: at, start: 0, end: null, step: 1 };
  const middle = slice(g, x, at, start, end);
  const inner = replaceRegion(g, middle, steps.map((s, i) => (i === at ? whole : s)), block, dims.map((dim, i) => (i === at ? minus(end, start) : dim)));
  const parts = [...(start === 0 ? [] : [slice(g, x, at, 0, start)]), inner, ...(sameWhole(end, size) ? [] : [slice(g, x, at, end, null)])];
  return concat(g, parts, at);
}
function setGathered(g: Tracer, x: Tensor, steps: readonly Step[], part: Tensor): Tensor {
  const gathers = steps.flatMap((step) => (step.kind === 'gather' ? [step] : []));
  const whole = steps.every((step) => step.kind === 'gather' || (step.kind === 'slice' && step.start === 0 && step.end === null && step.step === 1));
  if (!whole || gathers.some((step, i) => step.axis !== i)) return g.stop('assigning through index tensors beside slices is not traced');
  const shape = gathers.map((step) => g.dims(step.index)).reduce((a, b) => broadcast(g, a, b));
  const index = concat(g, gathers.map((step) => unsqueeze(g, expand(g, cast(g, step.index, 'I64'), shape), [shape.length])), shape.length);
  const updates = expand(g, cast(g, part, g.type(x)), [...shape, ...g.dims(x).slice(gathers.length)]);
  return g.emit('ScatterND', [x, index, updates], {}, { type: g.type(x), dims: g.dims(x) });
}

/** The pieces of a dimension, each without it. */
export function unbind(g: Tracer, x: Tensor, axis: number): Tensor[] {
  const count = numeric(g, g.dims(x)[axis] ?? 0);
  return Array.from({ length: count }, (_, i) => asView(x, select(g, x, axis, i), g, (base) => select(g, base, axis, i),
    (base, part) => writeBasic(g, base, g.dims(base).map((__, d): Step => (d === axis ? { kind: 'select', axis: d, index: i } : { kind: 'slice', axis: d, start: 0, end: null, step: 1 })), part)));
}
/** A range of a dimension as a view. */
export function sliceView(g: Tracer, x: Tensor, axis: number, start: Whole, end: Whole): Tensor {
  const steps = g.dims(x).map((_, d): Step => (d === axis ? { kind: 'slice', axis: d, start, end, step: 1 } : { kind: 'slice', axis: d, start: 0, end: null, step: 1 }));
  return asView(x, slice(g, x, axis, start, end), g, (base) => slice(g, base, axis, start, end), (base, part) => writeBasic(g, base, steps, part));
}

define('unbind', 'input, dim=0', (g, a) => new PyTuple(unbind(g, a.tensor('input'), a.axis('dim', rank(g, a.tensor('input')), 0))));
define('select', 'input, dim, index', (g, a) => { const x = a.tensor('input'); return selectAt(g, x, a.axis('dim', rank(g, x)), a.whole('index')); });
define('narrow', 'input, dim, start, length', (g, a) => { const x = a.tensor('input'); return sliceView(g, x, a.axis('dim', rank(g, x)), a.whole('start'), plus(a.whole('start'), a.whole('length'))); });
define('index_select', 'input, dim, index', (g, a) => { const x = a.tensor('input'); return gather(g, x, a.tensor('index'), a.axis('dim', rank(g, x))); });
define('gather take_along_dim', 'input, dim, index', (g, a) => {
  const [x, index] = [a.tensor('input'), a.tensor('index')];
  return g.emit('GatherElements', [x, cast(g, index, 'I64')], { axis: { int: a.axis('dim', rank(g, x)) } }, { type: g.type(x), dims: g.dims(index) });
});
define('take_along_dim', 'input, indices, dim', (g, a) => g.op('gather', a.tensor('input'), a.raw('dim')!, a.tensor('indices')));
define('take', 'input, index', (g, a) => gather(g, reshape(g, a.tensor('input'), [-1]), a.tensor('index'), 0));
define('scatter', 'input, dim, index, src=None, value=None, reduce=None', (g, a) => scatter(g, a.tensor('input'), a.axis('dim', rank(g, a.tensor('input'))), a.tensor('index'), a.raw('src') ?? a.raw('value')!, a.text('reduce', 'none')));
define('scatter_add', 'input, dim, index, src', (g, a) => scatter(g, a.tensor('input'), a.axis('dim', rank(g, a.tensor('input'))), a.tensor('index'), a.raw('src')!, 'add'));
function scatter(g: Tracer, x: Tensor, axis: number, index: Tensor, source: Value, reduction: string): Tensor {
  const updates = expand(g, cast(g, g.asTensor(source) ?? g.stop('the source of scatter is not known'), g.type(x)), g.dims(index));
  return g.emit('ScatterElements', [x, cast(g, index, 'I64'), updates], { axis: { int: axis }, reduction: { text: reduction } }, { type: g.type(x), dims: g.dims(x) });
}
define('index_add', 'input, dim, index, source', (g, a) => {
  const [x, index, source] = [a.tensor('input'), a.tensor('index'), a.tensor('source')];
  const axis = a.axis('dim', rank(g, x));
  const shaped = g.dims(source).map((_, i) => (i === axis ? g.dims(index)[0]! : 1));
  return scatter(g, x, axis, expand(g, reshape(g, index, shaped), g.dims(source)), source, 'add');
});
define('masked_fill', 'input, mask, value', (g, a) => {
  const [x, mask] = [a.tensor('input'), cast(g, a.tensor('mask'), 'BOOL')];
  const value = cast(g, a.tensor('value'), g.type(x));
  return g.emit('Where', [mask, value, x], {}, { type: g.type(x), dims: broadcast(g, g.dims(mask), g.dims(x)) });
});
define('where', 'condition, input=None, other=None', (g, a) => {
  if (!a.given('input')) return g.stop('where(condition) gives a number of elements that only the values decide');
  const { x, y, type } = aligned(g, a.raw('input')!, a.raw('other') ?? null);
  const mask = cast(g, a.tensor('condition'), 'BOOL');
  return g.emit('Where', [mask, x, y], {}, { type, dims: broadcast(g, broadcast(g, g.dims(mask), g.dims(x)), g.dims(y)) });
});
define('Tensor.where', 'input, condition, other', (g, a) => g.op('where', a.tensor('condition'), a.tensor('input'), a.raw('other')!));
define('topk', 'input, k, dim=-1, largest=True, sorted=True', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dim', rank(g, x), -1);
  const k = a.whole('k');
  const dims = g.dims(x).map((dim, i) => (i === axis ? k : dim));
  return new PyTuple(g.emitAll('TopK', [x, g.builder.size(k)], { axis: { int: axis }, largest: { int: a.flag('largest', true) ? 1 : 0 } }, [{ type: g.type(x), dims }, { type: 'I64', dims }]), null, ['values', 'indices']);
});
define('sort', 'input, dim=-1, descending=False', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dim', rank(g, x), -1);
  return g.opWith('topk', [x, g.dims(x)[axis]!], { dim: axis, largest: a.flag('descending') });
});
define('argsort', 'input, dim=-1, descending=False', (g, a) => (g.opWith('sort', [a.tensor('input'), a.raw('dim')!, a.raw('descending')!], {}) as PyTuple).items[1]!);
define('masked_select nonzero unique', 'input, *args, **kwargs', (g) => g.stop('this gives a number of elements that only the values decide'));
define('index_put', 'input, indices, values, accumulate=False', (g, a) => setItem(g, a.tensor('input'), new PyTuple((a.raw('indices') as PyTuple).items), a.raw('values')!));
