/** einops: rearrange, repeat, reduce, and the layers of the same names. */
import { nativeClass } from '../../python/library/types';
import { moduleClass } from '../../python/library/types';
import type { Tensor} from '../../python/values/values';
import { Instance, PyDict, PyList, PyTuple, type Arguments, type Value } from '../../python/values/values';
import { floorQuotient, hintOf, minus, plus, product, type Whole } from '../../python/values/symbolic';
import type { SourceSpan } from '../../python/module-tree';
import { asWhole } from '../bound';
import { defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { concat, expand, mismatch, reshape, shapeText, slice, transpose, unsqueeze } from './basic';
import { einsum } from './linear';
import { reduce } from './reduction';

/** One side of a pattern: groups of axes; `...` is a group of its own, numbers are axes without a name. */
type Side = readonly (readonly string[])[];
function parseSide(g: Tracer, text: string): Side {
  const groups: string[][] = [];
  let open: string[] | null = null;
  for (const token of text.replaceAll('(', ' ( ').replaceAll(')', ' ) ').split(/\s+/).filter((part) => part !== '')) {
    if (token === '(') { if (open) g.stop(`the pattern ${text} has brackets in brackets`); open = []; }
    else if (token === ')') {
      const group: string[] = open ?? g.stop(`the pattern ${text} has a bracket too many`);
      // `(...)` is one axis, `...` is several: the 1 beside it, an axis of no size, tells them apart.
      groups.push(group.length === 1 && group[0] === '...' ? ['1', '...'] : group);
      open = null;
    }
    else if (open) open.push(token);
    else groups.push([token]);
  }
  return groups;
}
const lengths = (args: ReadonlyMap<string, Value>): Map<string, Whole> => new Map([...args].flatMap(([name, value]) => { const size = asWhole(value); return size === undefined ? [] : [[name, size] as const]; }));

interface Rearranged { readonly x: Tensor; readonly names: readonly string[]; readonly sizes: ReadonlyMap<string, Whole>; readonly right: Side }
/** Splits the input into single axes, one for each name on the left. */
function split(g: Tracer, x: Tensor, pattern: string, given: ReadonlyMap<string, Value>): Rearranged {
  const [leftText, rightText] = pattern.split('->');
  if (rightText === undefined) return g.stop(`the pattern ${pattern} has no arrow`);
  const [left, right] = [parseSide(g, leftText!), parseSide(g, rightText)];
  const dims = g.dims(x);
  const sizes = lengths(given);
  const extra = dims.length - left.filter((group) => group[0] !== '...').length;
  const names: string[] = [];
  const single: Whole[] = [];
  let at = 0;
  for (const group of left) {
    if (group[0] === '...') { for (let i = 0; i < extra; i += 1) { names.push(`...${i}`); sizes.set(`...${i}`, dims[at]!); single.push(dims[at++]!); } continue; }
    const size = dims[at++] ?? g.stop(`the pattern ${pattern} does not fit a tensor of shape ${shapeText(dims)}`);
    const named = group.filter((name) => name !== '1');
    const unknown = named.filter((name) => !sizes.has(name));
    if (unknown.length > 1) return g.stop(`the pattern ${pattern} leaves the sizes of ${unknown.join(' and ')} open`);
    const known = product(named.filter((name) => sizes.has(name)).map((name) => sizes.get(name)!));
    if (unknown.length === 1) sizes.set(unknown[0]!, floorQuotient(size, known));
    else if (hintOf(known) !== hintOf(size)) mismatch(g, size, known, `the pattern ${pattern} does not fit a tensor of shape ${shapeText(dims)}`);
    if (group.length === 1 && group[0] !== '1') sizes.set(group[0]!, size);
    names.push(...named);
    single.push(...named.map((name) => sizes.get(name)!));
  }
  if (at !== dims.length) return g.stop(`the pattern ${pattern} does not fit a tensor of shape ${shapeText(dims)}`);
  return { x: reshape(g, x, single), names, sizes, right: right.flatMap((group) => (group[0] === '...' ? names.filter((name) => name.startsWith('...')).map((name) => [name]) : group.includes('...') ? [group.flatMap((name) => (name === '...' ? names.filter((each) => each.startsWith('...')) : [name]))] : [group])) };
}
function join(g: Tracer, x: Tensor, names: readonly string[], right: Side, sizes: ReadonlyMap<string, Whole>): Tensor {
  const order = right.flat().filter((name) => name !== '1');
  const moved = transpose(g, x, order.map((name) => names.indexOf(name)));
  return reshape(g, moved, right.map((group) => product(group.map((name) => (name === '1' ? 1 : sizes.get(name) ?? Number(name))))));
}
export function rearrange(g: Tracer, x: Tensor, pattern: string, given: ReadonlyMap<string, Value>): Tensor {
  const made = split(g, x, pattern, given);
  return join(g, made.x, made.names, made.right, made.sizes);
}
function repeat(g: Tracer, x: Tensor, pattern: string, given: ReadonlyMap<string, Value>): Tensor {
  const made = split(g, x, pattern, given);
  const sizes = new Map(made.sizes);
  const added = made.right.flat().filter((name) => name !== '1' && !made.names.includes(name));
  for (const name of added) if (/^\d+$/.test(name)) sizes.set(name, Number(name));
  const names = [...made.names, ...added];
  const wide = unsqueeze(g, made.x, added.map((_, i) => made.names.length + i));
  return join(g, expand(g, wide, names.map((name) => sizes.get(name) ?? g.stop(`the size of ${name} is not given`))), names, made.right, sizes);
}
function reduceBy(g: Tracer, x: Tensor, pattern: string, how: Value, given: ReadonlyMap<string, Value>): Tensor {
  const op = ({ mean: 'ReduceMean', sum: 'ReduceSum', max: 'ReduceMax', min: 'ReduceMin', prod: 'ReduceProd' } as Record<string, string>)[String(how)];
  if (!op) return g.stop('the reduction of einops.reduce is not known');
  const made = split(g, x, pattern, given);
  const kept = new Set(made.right.flat());
  const axes = made.names.map((name, i) => ({ name, i })).filter(({ name }) => !kept.has(name)).map(({ i }) => i);
  return join(g, reduce(g, op, made.x, axes, false), made.names.filter((name) => kept.has(name)), made.right, made.sizes);
}
/** A list of tensors is one tensor with a new first axis. */
function tensorOf(g: Tracer, value: Value | undefined): Tensor {
  if (value instanceof PyList || value instanceof PyTuple) return concat(g, value.items.map((item) => unsqueeze(g, item as Tensor, [0])), 0);
  return (value === undefined ? undefined : g.asTensor(value)) ?? g.stop('what einops is given is not known');
}
/** Axes before and behind the `*` of a pattern of pack. */
function around(g: Tracer, pattern: string): { before: number; behind: number } {
  const axes = pattern.trim().split(/\s+/);
  const star = axes.indexOf('*');
  return star < 0 ? g.stop(`the pattern ${pattern} has no *`) : { before: star, behind: axes.length - star - 1 };
}
/** Tensors with their middle axes flattened and joined; the sizes of those axes are what undoes it. */
function pack(g: Tracer, given: Value | undefined, pattern: string): PyTuple {
  if (!(given instanceof PyList || given instanceof PyTuple)) return g.stop('what einops.pack is given is not known');
  const { before, behind } = around(g, pattern);
  const shapes: PyTuple[] = [];
  const parts = given.items.map((item) => {
    const x = tensorOf(g, item);
    const dims = g.dims(x);
    const middle = dims.slice(before, dims.length - behind);
    shapes.push(new PyTuple([...middle]));
    return reshape(g, x, [...dims.slice(0, before), product(middle), ...dims.slice(dims.length - behind)]);
  });
  return new PyTuple([concat(g, parts, before), new PyList(shapes)]);
}
function unpack(g: Tracer, x: Tensor, shapes: Value, pattern: string): PyList {
  if (!(shapes instanceof PyList || shapes instanceof PyTuple)) return g.stop('the shapes that einops.unpack is given are not known');
  const { before, behind } = around(g, pattern);
  const dims = g.dims(x);
  const sizes = shapes.items.map((shape) => (shape instanceof PyTuple || shape instanceof PyList ? shape.items : [shape]).map((item) => asWhole(item) ?? g.stop('the shapes that einops.unpack is given are not known')));
  const total = dims[before]!;
  // One of the sizes may be left open as -1: what the others leave.
  const known = sizes.filter((each) => !each.includes(-1)).map(product).reduce<Whole>(plus, 0);
  let at: Whole = 0;
  return new PyList(sizes.map((each) => {
    const length = each.includes(-1) ? minus(total, known) : product(each);
    const part = slice(g, x, before, at, plus(at, length));
    at = plus(at, length);
    return reshape(g, part, [...dims.slice(0, before), ...each, ...dims.slice(dims.length - behind)]);
  }));
}
const sizesIn = (args: Arguments): ReadonlyMap<string, Value> => args.keywords;
const textIn = (g: Tracer, value: Value | undefined): string => (typeof value === 'string' ? value : g.stop('the pattern of einops is not known'));

/** Calls of einops by name; undefined for what it does not have. Layers become modules that remember their pattern. */
export function callEinops(g: Tracer, name: string, args: Arguments, site: SourceSpan): Value | undefined {
  const [x, pattern, third] = args.positional;
  switch (name.replace(/^einops\.(?:einops\.)?/, '')) {
    case 'rearrange': return rearrange(g, tensorOf(g, x), textIn(g, pattern ?? args.keywords.get('pattern')), sizesIn(args));
    case 'repeat': return repeat(g, tensorOf(g, x), textIn(g, pattern ?? args.keywords.get('pattern')), sizesIn(args));
    case 'reduce': return reduceBy(g, tensorOf(g, x), textIn(g, pattern), third ?? args.keywords.get('reduction') ?? null, sizesIn(args));
    case 'pack': return pack(g, x, textIn(g, pattern ?? args.keywords.get('pattern')));
    case 'unpack': return unpack(g, tensorOf(g, x), pattern ?? args.keywords.get('packed_shapes') ?? null, textIn(g, third ?? args.keywords.get('pattern')));
    case 'einsum': return einsum(g, letters(String(args.positional.at(-1))), args.positional.slice(0, -1) as Tensor[]);
    case 'layers.torch.Rearrange': case 'layers.torch.Reduce': {
      const made = new Instance(name.endsWith('Reduce') ? reduceLayer : rearrangeLayer, site);
      made.initialized = true;
      made.attributes.set('pattern', args.positional[0] ?? args.keywords.get('pattern') ?? null);
      if (name.endsWith('Reduce')) made.attributes.set('reduction', args.positional[1] ?? args.keywords.get('reduction') ?? null);
      for (const [key, value] of args.keywords) made.attributes.set(`size_${key}`, value);
      return made;
    }
  }
  return undefined;
}
/** einops names axes by words; einsum by letters. */
function letters(pattern: string): string {
  const names = new Map<string, string>();
  return pattern.replace(/[A-Za-z_]\w*/g, (name) => { if (!names.has(name)) names.set(name, String.fromCharCode(97 + names.size)); return names.get(name)!; }).replaceAll(' ', '');
}
const rearrangeLayer = nativeClass('Rearrange', {}, [moduleClass], 'einops.layers.torch.Rearrange');
const reduceLayer = nativeClass('Reduce', {}, [moduleClass], 'einops.layers.torch.Reduce');
function remembered(instance: Instance): ReadonlyMap<string, Value> {
  const given = [...instance.attributes.values()].find((value): value is PyDict => value instanceof PyDict);
  const named = given ? [...given.entries.values()].map((entry) => [String(entry.key), entry.value] as const) : [];
  return new Map([...named, ...[...instance.attributes].filter(([name]) => name.startsWith('size_')).map(([name, value]) => [name.slice(5), value] as const)]);
}
defineModule('Rearrange', 'input', (g, m, a, instance) => rearrange(g, a.tensor('input'), m.text('pattern', ''), remembered(instance)));
defineModule('Reduce', 'input', (g, m, a, instance) => reduceBy(g, a.tensor('input'), m.text('pattern', ''), m.raw('reduction') ?? null, remembered(instance)));
