/** Operators that only move elements: views, permutations, joining, cutting, padding, repeating. */
import { PyList, PyTuple, Tensor, type Value } from '../../python/values/values';
import { exactQuotient, floorQuotient, hintOf, minus, plus, product, times, type Whole } from '../../python/values/symbolic';
import { asWhole, wrapAxis } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { asView, broadcast, cast, concat, expand, gather, numeric, rank, reshape, same, scalar, shapeText, slice, squeeze, swap, transpose, unsqueeze, vector } from './basic';
import { sliceView } from './indexing';

const view = (g: Tracer, x: Tensor, sizes: readonly Whole[]): Tensor => asView(x, reshape(g, x, sizes), g, (base) => reshape(g, base, sizes), (base, part) => reshape(g, part, g.dims(base)));
const ordered = (g: Tracer, x: Tensor, order: readonly number[]): Tensor =>
  asView(x, transpose(g, x, order), g, (base) => transpose(g, base, order), (_, part) => transpose(g, part, order.map((__, i) => order.indexOf(i))));
const axesView = (g: Tracer, x: Tensor, make: (x: Tensor) => Tensor): Tensor => asView(x, make(x), g, make, (base, part) => reshape(g, part, g.dims(base)));

define('Tensor.view Tensor.reshape Tensor._unsafe_view', 'input, *shape', (g, a) => {
  const x = a.tensor('input');
  const given = a.raw('shape');
  if (given instanceof PyTuple && given.items.length === 1 && typeof given.items[0] === 'object' && given.items[0] !== null && 'name' in given.items[0]) return g.stop('a view as another type is not traced');
  return view(g, x, a.wholes('shape'));
});
define('torch.reshape', 'input, shape', (g, a) => view(g, a.tensor('input'), a.wholes('shape')));
define('view_as reshape_as', 'input, other', (g, a) => view(g, a.tensor('input'), g.dims(a.tensor('other'))));
export function flatten(g: Tracer, x: Tensor, from: number, to: number): Tensor {
  const dims = g.dims(x);
  if (dims.length === 0) return view(g, x, [1]);
  const [start, end] = [wrapAxis(from, dims.length), wrapAxis(to, dims.length)];
  return view(g, x, [...dims.slice(0, start), product(dims.slice(start, end + 1)), ...dims.slice(end + 1)]);
}
define('flatten', 'input, start_dim=0, end_dim=-1', (g, a) => flatten(g, a.tensor('input'), a.number('start_dim', 0), a.number('end_dim', -1)));
define('ravel', 'input', (g, a) => view(g, a.tensor('input'), [-1]));
defineModule('Flatten', 'input', (g, m, a) => flatten(g, a.tensor('input'), m.number('start_dim', 1), m.number('end_dim', -1)));
function unflatten(g: Tracer, x: Tensor, axis: number, sizes: readonly Whole[]): Tensor {
  const dims = g.dims(x);
  const open = sizes.indexOf(-1);
  const known = open < 0 ? sizes : sizes.map((size, i) => (i === open ? floorQuotient(dims[axis]!, product(sizes.filter((_, j) => j !== open))) : size));
  return view(g, x, [...dims.slice(0, axis), ...known, ...dims.slice(axis + 1)]);
}
define('unflatten', 'input, dim, sizes', (g, a) => unflatten(g, a.tensor('input'), a.axis('dim', rank(g, a.tensor('input'))), a.wholes('sizes')));
defineModule('Unflatten', 'input', (g, m, a) => unflatten(g, a.tensor('input'), m.axis('dim', rank(g, a.tensor('input'))), m.wholes('unflattened_size')));

define('transpose swapaxes swapdims', 'input, dim0, dim1', (g, a) => {
  const x = a.tensor('input');
  const [p, q] = [a.axis('dim0', rank(g, x)), a.axis('dim1', rank(g, x))];
  return ordered(g, x, Array.from({ length: rank(g, x) }, (_, i) => (i === p ? q : i === q ? p : i)));
});
define('Tensor.permute', 'input, *dims', (g, a) => ordered(g, a.tensor('input'), a.axes('dims', rank(g, a.tensor('input')))));
define('torch.permute', 'input, dims', (g, a) => ordered(g, a.tensor('input'), a.axes('dims', rank(g, a.tensor('input')))));
defineModule('Permute', 'x', (g, m, a) => ordered(g, a.tensor('x'), m.axes('dims', rank(g, a.tensor('x')))));
define('movedim moveaxis', 'input, source, destination', (g, a) => {
  const x = a.tensor('input');
  const [from, to] = [a.axes('source', rank(g, x)), a.axes('destination', rank(g, x))];
  const order: number[] = Array<number>(rank(g, x)).fill(-1);
  from.forEach((axis, i) => { order[to[i]!] = axis; });
  const rest = Array.from({ length: rank(g, x) }, (_, i) => i).filter((i) => !from.includes(i));
  return ordered(g, x, order.map((axis) => (axis < 0 ? rest.shift()! : axis)));
});
const reversed = (g: Tracer, x: Tensor): Tensor => ordered(g, x, Array.from({ length: rank(g, x) }, (_, i) => rank(g, x) - 1 - i));
define('T t', 'input', (g, a) => reversed(g, a.tensor('input')));
define('mT', 'input', (g, a) => ordered(g, a.tensor('input'), Array.from({ length: rank(g, a.tensor('input')) }, (_, i) => i).map((i, _, all) => (i === all.length - 1 ? i - 1 : i === all.length - 2 ? i + 1 : i))));

define('unsqueeze', 'input, dim', (g, a) => { const x = a.tensor('input'); const axis = a.axis('dim', rank(g, x) + 1); return axesView(g, x, (base) => unsqueeze(g, base, [axis])); });
define('squeeze', 'input, dim=None', (g, a) => {
  const x = a.tensor('input');
  const dims = g.dims(x);
  const axes = (a.given('dim') ? a.axes('dim', dims.length) : dims.map((_, i) => i)).filter((axis) => dims[axis] === 1);
  return axes.length === 0 ? x : axesView(g, x, (base) => squeeze(g, base, axes));
});
define('Tensor.expand', 'input, *sizes', (g, a) => expand(g, a.tensor('input'), a.wholes('sizes')));
define('expand', 'input, *sizes', (g, a) => expand(g, a.tensor('input'), a.wholes('sizes')));
define('expand_as', 'input, other', (g, a) => expand(g, a.tensor('input'), g.dims(a.tensor('other'))));
define('broadcast_to', 'input, size', (g, a) => expand(g, a.tensor('input'), a.wholes('size')));
define('broadcast_tensors', '*tensors', (g, a) => { const all = a.tensors('tensors'); const dims = all.map((each) => g.dims(each)).reduce((p, q) => broadcast(g, p, q)); return new PyTuple(all.map((each) => expand(g, each, dims))); });

function repeat(g: Tracer, x: Tensor, counts: readonly Whole[]): Tensor {
  const dims = g.dims(x);
  const lead = counts.length - dims.length;
  const padded = lead > 0 ? unsqueeze(g, x, Array.from({ length: lead }, (_, i) => i)) : x;
  if (counts.every((count) => count === 1)) return padded;
  return g.emit('Tile', [padded, g.builder.shape(counts)], {}, { type: g.type(x), dims: g.dims(padded).map((dim, i) => times(dim, counts[i]!)) });
}
define('Tensor.repeat', 'input, *sizes', (g, a) => repeat(g, a.tensor('input'), a.wholes('sizes')));
define('tile', 'input, *dims', (g, a) => { const x = a.tensor('input'); const counts = a.wholes('dims'); return repeat(g, x, [...Array<number>(Math.max(0, rank(g, x) - counts.length)).fill(1), ...counts]); });
define('repeat_interleave', 'input, repeats, dim=None, output_size=None', (g, a) => {
  const x = a.given('dim') ? a.tensor('input') : reshape(g, a.tensor('input'), [-1]);
  const axis = a.given('dim') ? a.axis('dim', rank(g, x)) : 0;
  const count = asWhole(a.raw('repeats'));
  if (count === undefined) return g.stop('repeat_interleave with a count for each element is not traced');
  if (count === 1) return x;
  const dims = g.dims(x);
  const wide = expand(g, unsqueeze(g, x, [axis + 1]), [...dims.slice(0, axis + 1), count, ...dims.slice(axis + 1)]);
  return reshape(g, wide, [...dims.slice(0, axis), times(dims[axis]!, count), ...dims.slice(axis + 1)]);
});

define('cat concat concatenate', 'tensors, dim=0', (g, a) => {
  const parts = a.tensors('tensors').filter((part) => !(g.dims(part).length === 1 && g.dims(part)[0] === 0));
  const first = parts[0] ?? g.stop('nothing is joined');
  if (parts.some((part) => g.isComplex(part) !== g.isComplex(first))) return g.stop('real and complex tensors are joined');
  return concat(g, parts, a.axis('dim', rank(g, first), 0));
});
define('stack', 'tensors, dim=0', (g, a) => {
  const parts = a.tensors('tensors');
  const axis = a.axis('dim', rank(g, parts[0] ?? g.stop('nothing is joined')) + 1, 0);
  return concat(g, parts.map((part) => unsqueeze(g, part, [axis])), axis);
});
define('hstack', 'tensors', (g, a) => { const parts = a.tensors('tensors'); return concat(g, parts, rank(g, parts[0]!) === 1 ? 0 : 1); });
define('vstack', 'tensors', (g, a) => { const parts = a.tensors('tensors'); return concat(g, rank(g, parts[0]!) === 1 ? parts.map((part) => unsqueeze(g, part, [0])) : parts, 0); });
define('dstack', 'tensors', (g, a) => concat(g, a.tensors('tensors').map((part) => (rank(g, part) === 2 ? unsqueeze(g, part, [2]) : part)), 2));

function pieces(g: Tracer, x: Tensor, axis: number, sizes: readonly Whole[]): PyTuple {
  let at: Whole = 0;
  return new PyTuple(sizes.map((size) => { const start = at; at = plus(at, size); return sliceView(g, x, axis, start, at); }));
}
define('chunk', 'input, chunks, dim=0', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dim', rank(g, x), 0);
  const [size, count] = [g.dims(x)[axis]!, a.number('chunks')];
  const exact = exactQuotient(size, count);
  if (exact !== undefined) return pieces(g, x, axis, Array.from({ length: count }, () => exact));
  const total = numeric(g, size);
  const each = Math.ceil(total / count);
  return pieces(g, x, axis, Array.from({ length: Math.ceil(total / each) }, (_, i) => Math.min(each, total - i * each)));
});
define('split split_with_sizes', 'input, split_size, dim=0', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dim', rank(g, x), 0);
  const given = a.raw('split_size');
  if (given instanceof PyList || given instanceof PyTuple) return pieces(g, x, axis, a.wholes('split_size'));
  const [size, each] = [g.dims(x)[axis]!, a.whole('split_size')];
  const count = exactQuotient(size, each);
  if (typeof count === 'number') return pieces(g, x, axis, Array.from({ length: count }, () => each));
  const [total, one] = [numeric(g, size), numeric(g, each)];
  return pieces(g, x, axis, Array.from({ length: Math.ceil(total / one) }, (_, i) => Math.min(one, total - i * one)));
});
define('tensor_split', 'input, indices_or_sections, dim=0', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dim', rank(g, x), 0);
  const total = numeric(g, g.dims(x)[axis]!);
  const given = a.raw('indices_or_sections');
  if (typeof given === 'number') return pieces(g, x, axis, Array.from({ length: given }, (_, i) => Math.floor(total / given) + (i < total % given ? 1 : 0)));
  const ends = [...a.wholes('indices_or_sections').map((each) => numeric(g, each)), total];
  return pieces(g, x, axis, ends.map((end, i) => end - (ends[i - 1] ?? 0)));
});

define('roll', 'input, shifts, dims=None', (g, a) => {
  let x = a.tensor('input');
  const whole = g.dims(x);
  if (!a.given('dims')) x = reshape(g, x, [-1]);
  const axes = a.given('dims') ? a.axes('dims', whole.length) : [0];
  const shifts = a.wholes('shifts');
  axes.forEach((axis, i) => {
    const size = g.dims(x)[axis]!;
    const shift = hintOf(shifts[i]!);
    const by = ((shift % hintOf(size)) + hintOf(size)) % hintOf(size);
    if (by === 0) return;
    const cut = shift > 0 ? minus(size, shift) : -shift;
    x = concat(g, [slice(g, x, axis, cut, null), slice(g, x, axis, 0, cut)], axis);
  });
  return a.given('dims') ? x : reshape(g, x, whole);
});
define('flip', 'input, *dims', (g, a) => flip(g, a.tensor('input'), a.axes('dims', rank(g, a.tensor('input')))));
define('fliplr', 'input', (g, a) => flip(g, a.tensor('input'), [1]));
define('flipud', 'input', (g, a) => flip(g, a.tensor('input'), [0]));
export function flip(g: Tracer, x: Tensor, axes: readonly number[]): Tensor {
  return same(g, 'Slice', x, {}, [vector(g, axes.map(() => -1)), vector(g, axes.map(() => -Number.MAX_SAFE_INTEGER)), vector(g, axes), vector(g, axes.map(() => -1))]);
}

// ---- padding ----

/** Padding as PyTorch gives it: pairs from the last dimension on. */
export function pad(g: Tracer, x: Tensor, amounts: readonly Whole[], mode: string, value: Value): Tensor {
  if (amounts.every((each) => each === 0)) return x;
  const dims = g.dims(x);
  const [before, after] = [dims.map((): Whole => 0), dims.map((): Whole => 0)];
  for (let i = 0; i * 2 < amounts.length; i += 1) { before[dims.length - 1 - i] = amounts[2 * i]!; after[dims.length - 1 - i] = amounts[2 * i + 1] ?? 0; }
  const made = dims.map((dim, i) => plus(plus(dim, before[i]!), after[i]!));
  const type = g.type(x) === 'BOOL' ? 'I64' : g.type(x);
  const fill = mode === 'constant' ? cast(g, g.asTensor(value) ?? scalar(g, 0), type) : null;
  const padded = g.emit('Pad', [cast(g, x, type), g.builder.shape([...before, ...after]), fill], { mode: { text: ({ replicate: 'edge', circular: 'wrap' } as Record<string, string>)[mode] ?? mode } }, { type, dims: made });
  return cast(g, padded, g.type(x));
}
define('pad', "input, pad, mode='constant', value=None", (g, a) => pad(g, a.tensor('input'), a.wholes('pad'), a.text('mode', 'constant'), a.raw('value') ?? 0));
for (const n of [1, 2, 3]) {
  const amounts = (given: Whole[]): Whole[] => (given.length === 1 ? Array<Whole>(2 * n).fill(given[0]!) : given);
  for (const [name, mode] of [['ConstantPad', 'constant'], ['ZeroPad', 'constant'], ['ReflectionPad', 'reflect'], ['ReplicationPad', 'replicate'], ['CircularPad', 'circular']] as const) {
    defineModule(`${name}${n}d`, 'input', (g, m, a) => pad(g, a.tensor('input'), amounts(m.wholes('padding')), mode, m.raw('value') ?? 0));
  }
}

// ---- pixels and channels ----

function pixelShuffle(g: Tracer, x: Tensor, r: number): Tensor {
  const dims = g.dims(x);
  const [c, h, w] = dims.slice(-3) as [Whole, Whole, Whole];
  const lead = dims.slice(0, -3);
  const n = lead.length;
  const split = reshape(g, x, [...lead, floorQuotient(c, r * r), r, r, h, w]);
  return reshape(g, transpose(g, split, [...lead.map((_, i) => i), n, n + 3, n + 1, n + 4, n + 2]), [...lead, floorQuotient(c, r * r), times(h, r), times(w, r)]);
}
function pixelUnshuffle(g: Tracer, x: Tensor, r: number): Tensor {
  const dims = g.dims(x);
  const [c, h, w] = dims.slice(-3) as [Whole, Whole, Whole];
  const lead = dims.slice(0, -3);
  const n = lead.length;
  const split = reshape(g, x, [...lead, c, floorQuotient(h, r), r, floorQuotient(w, r), r]);
  return reshape(g, transpose(g, split, [...lead.map((_, i) => i), n, n + 2, n + 4, n + 1, n + 3]), [...lead, times(c, r * r), floorQuotient(h, r), floorQuotient(w, r)]);
}
define('pixel_shuffle', 'input, upscale_factor', (g, a) => pixelShuffle(g, a.tensor('input'), a.number('upscale_factor')));
define('pixel_unshuffle', 'input, downscale_factor', (g, a) => pixelUnshuffle(g, a.tensor('input'), a.number('downscale_factor')));
defineModule('PixelShuffle', 'input', (g, m, a) => pixelShuffle(g, a.tensor('input'), m.number('upscale_factor')));
defineModule('PixelUnshuffle', 'input', (g, m, a) => pixelUnshuffle(g, a.tensor('input'), m.number('downscale_factor')));
function channelShuffle(g: Tracer, x: Tensor, groups: number): Tensor {
  const [n, c, ...rest] = g.dims(x) as [Whole, Whole, ...Whole[]];
  return reshape(g, swap(g, reshape(g, x, [n, groups, floorQuotient(c, groups), ...rest]), 1, 2), [n, c, ...rest]);
}
define('channel_shuffle', 'input, groups', (g, a) => channelShuffle(g, a.tensor('input'), a.number('groups')));
defineModule('ChannelShuffle', 'input', (g, m, a) => channelShuffle(g, a.tensor('input'), m.number('groups')));

/** Sliding blocks of a picture as columns. */
function unfold2d(g: Tracer, x: Tensor, kernel: readonly number[], dilation: readonly number[], padding: readonly number[], stride: readonly number[]): Tensor {
  const [n, c] = g.dims(x) as [Whole, Whole];
  const padded = pad(g, x, [padding[1]!, padding[1]!, padding[0]!, padding[0]!], 'constant', 0);
  const sizes = g.dims(padded).slice(2).map((size) => numeric(g, size));
  const count = sizes.map((size, i) => Math.floor((size - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1);
  const places = (i: number): number[] => Array.from({ length: kernel[i]! }, (_, k) => Array.from({ length: count[i]! }, (__, o) => o * stride[i]! + k * dilation[i]!)).flat();
  const rows = gather(g, padded, g.constant('I64', [kernel[0]! * count[0]!], places(0)), 2);
  const both = gather(g, rows, g.constant('I64', [kernel[1]! * count[1]!], places(1)), 3);
  const split = reshape(g, both, [n, c, kernel[0]!, count[0]!, kernel[1]!, count[1]!]);
  return reshape(g, transpose(g, split, [0, 1, 2, 4, 3, 5]), [n, times(c, kernel[0]! * kernel[1]!), count[0]! * count[1]!]);
}
define('torch.nn.functional.unfold', 'input, kernel_size, dilation=1, padding=0, stride=1', (g, a) => unfold2d(g, a.tensor('input'), a.each('kernel_size', 2), a.each('dilation', 2), a.each('padding', 2), a.each('stride', 2)));
defineModule('Unfold', 'input', (g, m, a) => unfold2d(g, a.tensor('input'), m.each('kernel_size', 2), m.each('dilation', 2, [1, 1]), m.each('padding', 2, [0, 0]), m.each('stride', 2, [1, 1])));
define('Tensor.unfold', 'input, dimension, size, step', (g, a) => {
  const x = a.tensor('input');
  const axis = a.axis('dimension', rank(g, x));
  const [size, step] = [a.number('size'), a.number('step')];
  const total = numeric(g, g.dims(x)[axis]!);
  const count = Math.floor((total - size) / step) + 1;
  const picked = gather(g, x, g.constant('I64', [count, size], Array.from({ length: count }, (_, i) => Array.from({ length: size }, (__, k) => i * step + k)).flat()), axis);
  const order = Array.from({ length: rank(g, picked) }, (_, i) => i).filter((i) => i !== axis + 1);
  return transpose(g, picked, [...order, axis + 1]);
});

// ---- questions about the shape ----

define('Tensor.size', 'input, dim=None', (g, a) => { const dims = g.dims(a.tensor('input')); return a.given('dim') ? dims[a.axis('dim', dims.length)] ?? g.stop(`a tensor of shape ${shapeText(dims)} has no such dimension`) : new PyTuple([...dims]); });
define('Tensor.dim Tensor.ndimension', 'input', (g, a) => rank(g, a.tensor('input')));
define('numel Tensor.nelement Tensor.numel', 'input', (g, a) => product(g.dims(a.tensor('input'))));
define('Tensor.is_contiguous Tensor.is_floating_point is_floating_point', 'input, memory_format=None', (g, a) => g.type(a.tensor('input')) === 'F32');
define('Tensor.is_contiguous', 'input, memory_format=None', () => true);
define('contiguous detach cpu cuda requires_grad_ pin_memory data_ptr', 'input, *args, **kwargs', (_, a) => a.tensor('input'));
define('clone', 'input, memory_format=None', (g, a) => g.builder.tensor(g.read(a.tensor('input'))));
define('is_tensor', 'input', (_, a) => a.raw('input') instanceof Tensor);
define('Tensor.element_size', 'input', () => 4);
define('Tensor.get_device', 'input', () => -1);
define('Tensor.stride', 'input, dim=None', (g) => g.stop('the strides of a tensor are not traced'));
define('atleast_1d', 'input', (g, a) => (rank(g, a.tensor('input')) === 0 ? unsqueeze(g, a.tensor('input'), [0]) : a.tensor('input')));
