/** `itertools` over sequences of known and of unknown length: what follows an unknown number of items is unknown too, never empty. */
import { Choice, Namespace, PyList, PyTuple, type Builtin, type Value } from '../values/values';
import { callValue, noArguments } from '../evaluation/calls';
import { asNumber, valuesOf, type Sequence } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { binary } from '../evaluation/operators';
import { argument, builtin, openNamespace } from './support';

/** Products and combinations of more rows are not listed. */
const MAX_ROWS = 100_000;
/** Items given for a sequence without end. */
const ENDLESS = 4096;

interface Listed { readonly items: readonly Value[]; readonly rest: Value | undefined }

const listed = (sequence: Sequence): Listed => ({ items: [...sequence.items], rest: sequence.rest });
const read = (m: Machine, value: Value | undefined): Listed => listed(valuesOf(m, value ?? null));
const list = (m: Machine, items: Value[], rest?: Value): PyList => new PyList(items, rest, m.loopDepth);
/** Any one element of a sequence that is not fully known. */
const anyOf = (m: Machine, { items, rest }: Listed): Value => Choice.of(rest === undefined ? items : [...items, rest], m.unknown('an element of a sequence of unknown length'));
const isEmpty = ({ items, rest }: Listed): boolean => items.length === 0 && rest === undefined;
const tuples = (rows: readonly (readonly Value[])[]): PyTuple[] => rows.map((row) => new PyTuple([...row]));

/** One after the other. Items behind an unknown number of others stand at no known place. */
function chained(m: Machine, parts: readonly Listed[], more = false): PyList {
  const open = parts.findIndex(({ rest }) => rest !== undefined);
  if (open < 0) return list(m, parts.flatMap(({ items }) => items), more ? m.unknown('an element of sequences of unknown number') : undefined);
  const later = [parts[open]!.rest!, ...parts.slice(open + 1).flatMap(({ items, rest }) => (rest === undefined ? items : [...items, rest]))];
  const why = m.unknown('an element of a sequence of unknown length');
  return list(m, parts.slice(0, open + 1).flatMap(({ items }) => items), Choice.of(more ? [...later, why] : later, why));
}

function product(m: Machine, sources: readonly Listed[]): Value {
  if (sources.some(isEmpty)) return list(m, []);
  if (sources.some(({ rest }) => rest !== undefined)) return list(m, [], new PyTuple(sources.map((source) => anyOf(m, source))));
  let rows: Value[][] = [[]];
  for (const { items } of sources) {
    if (rows.length * items.length > MAX_ROWS) return m.unknown('a product of very many things');
    rows = rows.flatMap((row) => items.map((item) => [...row, item]));
  }
  return list(m, tuples(rows));
}

/** Rows of `count` positions out of `length`, in the order of Python; null when there are very many. */
function selections(length: number, count: number, next: (row: readonly number[]) => Iterable<number>): number[][] | null {
  let rows: number[][] = [[]];
  for (let i = 0; i < count && rows.length > 0; i++) {
    if (rows.length * length > MAX_ROWS) return null;
    rows = rows.flatMap((row) => [...next(row)].map((at) => [...row, at]));
  }
  return rows;
}
const from = (start: number, length: number): number[] => Array.from({ length: Math.max(0, length - start) }, (_, i) => start + i);

/** `combinations` and its like: `next` gives the positions that may follow those of a row. */
const selecting = (name: string, next: (row: readonly number[], length: number) => Iterable<number>): Builtin => builtin(name, (m, args) => {
  const source = read(m, args.positional[0]);
  const given = argument(args, 1, 'r');
  const count = given === undefined || given === null ? (name === 'permutations' ? source.items.length : undefined) : asNumber(given);
  if (count === undefined || count < 0 || count > 64) return m.unknown(`${name}(…) of a number that is not known`);
  if (source.rest !== undefined) {
    const any = anyOf(m, source);
    return list(m, [], given === undefined || given === null ? m.unknown('a permutation of a sequence of unknown length') : new PyTuple(Array.from({ length: count }, () => any)));
  }
  const { items } = source;
  const rows = selections(items.length, count, (row) => next(row, items.length));
  return rows === null ? m.unknown(`${name}(…) of very many things`) : list(m, tuples(rows.map((row) => row.map((at) => items[at]!))));
});

const chain = builtin('chain', (m, args) => chained(m, args.positional.map((value) => read(m, value)), args.rest !== undefined));
const fromIterable = builtin('from_iterable', (m, args) => {
  const outer = read(m, args.positional[0]);
  return chained(m, outer.items.map((value) => read(m, value)), outer.rest !== undefined);
});
const chainNamespace = new Namespace('itertools.chain', (name) => (name === 'from_iterable' ? fromIterable : undefined));
/** `chain` is callable and has `from_iterable`. */
export function callNamespace(value: Namespace): Builtin | undefined { return value === chainNamespace ? chain : undefined; }

export const itertools: Namespace = openNamespace('itertools', {
  chain: chainNamespace,
  repeat: builtin('repeat', (m, args) => {
    const count = argument(args, 1, 'times');
    const n = count === undefined ? undefined : asNumber(count);
    const [value = null] = args.positional;
    return n === undefined ? list(m, [], value) : list(m, Array.from({ length: Math.min(n, MAX_ROWS) }, () => value));
  }),
  cycle: builtin('cycle', (m, args) => {
    const source = read(m, args.positional[0]);
    if (source.rest !== undefined) return list(m, [], anyOf(m, source));
    return list(m, source.items.length ? Array.from({ length: 2048 }, (_, i) => source.items[i % source.items.length]!) : []);
  }),
  count: builtin('count', (m, args) => {
    const [start, step] = [asNumber(argument(args, 0, 'start') ?? 0), asNumber(argument(args, 1, 'step') ?? 1)];
    return start === undefined || step === undefined ? list(m, [], m.unknown('a number counted from something that is not known')) : list(m, Array.from({ length: ENDLESS }, (_, i) => start + i * step));
  }),
  product: builtin('product', (m, args) => {
    const times = asNumber(args.keywords.get('repeat') ?? 1);
    if (args.rest !== undefined || times === undefined) return list(m, [], m.unknown('an element of a product of sequences of unknown number'));
    const sources = args.positional.map((value) => read(m, value));
    return product(m, Array.from({ length: Math.max(0, Math.min(times, 8)) }, () => sources).flat());
  }),
  combinations: selecting('combinations', (row, length) => from((row.at(-1) ?? -1) + 1, length)),
  combinations_with_replacement: selecting('combinations_with_replacement', (row, length) => from(row.at(-1) ?? 0, length)),
  permutations: selecting('permutations', (row, length) => from(0, length).filter((at) => !row.includes(at))),
  accumulate: builtin('accumulate', (m, args) => {
    const source = read(m, args.positional[0]);
    const fn = args.positional[1] ?? null;
    const items: Value[] = [];
    for (const item of source.items) {
      const last = items.at(-1);
      items.push(last === undefined ? item : fn === null ? binary(m, '+', last, item) : callValue(m, fn, { ...noArguments, positional: [last, item] }, m.site!));
    }
    return list(m, items, source.rest === undefined ? undefined : m.unknown('a sum of a sequence of unknown length'));
  }),
  islice: builtin('islice', (m, args) => {
    const { items, rest } = read(m, args.positional[0]);
    const numbers = args.positional.slice(1).map((value) => (value === null ? null : asNumber(value)));
    const any = (): PyList => list(m, [], anyOf(m, { items, rest }));
    if (numbers.includes(undefined)) return any();
    const [start, stop, step] = numbers.length === 1 ? [0, numbers[0] ?? null, 1] : [numbers[0] ?? 0, numbers[1] ?? null, numbers[2] ?? 1];
    const whole = rest === undefined || (stop !== null && stop <= items.length);
    return whole ? list(m, items.slice(start, stop ?? undefined).filter((_, i) => i % step === 0)) : step === 1 ? list(m, items.slice(start, stop ?? undefined), rest) : any();
  }),
  zip_longest: builtin('zip_longest', (m, args) => {
    const fill = args.keywords.get('fillvalue') ?? null;
    const sources = args.positional.map((value) => read(m, value));
    const row = (i: number): PyTuple => new PyTuple(sources.map(({ items }) => items[i] ?? fill));
    const open = sources.filter(({ rest }) => rest !== undefined);
    if (args.rest !== undefined || open.length > 0) {
      const known = args.rest !== undefined ? 0 : Math.min(...open.map(({ items }) => items.length));
      const why = m.unknown('an element of a sequence of unknown length');
      return list(m, Array.from({ length: known }, (_, i) => row(i)), args.rest !== undefined ? why : new PyTuple(sources.map((source) => Choice.of([...source.items.slice(known), ...(source.rest === undefined ? [] : [source.rest]), fill], why))));
    }
    return list(m, Array.from({ length: Math.max(0, ...sources.map(({ items }) => items.length)) }, (_, i) => row(i)));
  }),
  pairwise: builtin('pairwise', (m, args) => {
    const source = read(m, args.positional[0]);
    const pairs = source.items.slice(1).map((item, i) => new PyTuple([source.items[i]!, item]));
    return list(m, pairs, source.rest === undefined ? undefined : new PyTuple([anyOf(m, source), source.rest]));
  }),
  starmap: builtin('starmap', (m, args) => {
    const source = read(m, args.positional[1]);
    const made = source.items.map((item) => {
      const inner = read(m, item);
      return callValue(m, args.positional[0] ?? null, { ...noArguments, positional: [...inner.items], ...(inner.rest === undefined ? {} : { rest: inner.rest }) }, m.site!);
    });
    return list(m, made, source.rest === undefined ? undefined : m.unknown('an element of a sequence of unknown length'));
  }),
});
