/** Arguments of one call of an operator, bound to its Python signature, and asked for as what they should be. */
import { parseSignature, type TorchSignatureParameter } from '../python/torch/spec';
import { Opaque, PyFloat, PyList, PyTuple, Tensor, UnknownValue, type Arguments, type Value } from '../python/values/values';
import { hintOf, Symbolic, type Whole } from '../python/values/symbolic';
import { asNumber } from '../python/evaluation/iteration';
import type { Tracer } from './tracer';

/** Keywords that change nothing of what is computed here. */
const WITHOUT_EFFECT = new Set(['device', 'requires_grad', 'layout', 'memory_format', 'non_blocking', 'pin_memory', 'generator', 'training', 'inplace', 'copy', 'out_dtype', 'stable', 'sparse', 'is_coalesced']);
const ALIASES: Readonly<Record<string, string>> = { axis: 'dim', keepdims: 'keepdim', x: 'input', self: 'input' };

export class Bound {
  constructor(readonly g: Tracer, private readonly what: string, private readonly find: (name: string) => Value | undefined) {}

  raw(name: string): Value | undefined { return this.find(name); }
  given(name: string): boolean { const value = this.find(name); return value !== undefined && value !== null; }
  private refuse(name: string, wanted: string): never {
    const value = this.find(name);
    return this.g.stop(value instanceof UnknownValue ? value.reason : `${name} of ${this.what} is not ${wanted} that is known`, value instanceof UnknownValue ? value.span : undefined);
  }
  /** Numbers, lists of numbers and free dimensions are tensors too where one is wanted. */
  tensor(name: string): Tensor {
    const value = this.find(name);
    return (value === undefined || value === null ? undefined : this.g.asTensor(value)) ?? this.refuse(name, 'a tensor');
  }
  optional(name: string): Tensor | null { return this.given(name) ? this.tensor(name) : null; }
  tensors(name: string): Tensor[] {
    const value = this.find(name);
    const items = value instanceof Tensor ? this.g.iterate(this.g.machine, value) : value instanceof PyTuple || value instanceof PyList ? value.items : undefined;
    if (!items || (value instanceof PyList && value.rest !== undefined)) return this.refuse(name, 'a sequence of tensors');
    return items.map((item) => this.g.asTensor(item) ?? this.refuse(name, 'a sequence of tensors'));
  }
  number(name: string, otherwise?: number): number {
    const value = this.find(name);
    if ((value === undefined || value === null) && otherwise !== undefined) return otherwise;
    if (value instanceof Symbolic) return this.g.fix(value);
    return (value === undefined ? undefined : asNumber(value)) ?? this.refuse(name, 'a number');
  }
  whole(name: string, otherwise?: Whole): Whole {
    const value = this.find(name);
    if ((value === undefined || value === null) && otherwise !== undefined) return otherwise;
    return asWhole(value) ?? this.refuse(name, 'a whole number');
  }
  flag(name: string, otherwise = false): boolean {
    const value = this.find(name);
    if (value === undefined || value === null) return otherwise;
    if (typeof value === 'boolean') return value;
    return typeof value === 'number' ? value !== 0 : this.refuse(name, 'true or false');
  }
  text(name: string, otherwise: string): string {
    const value = this.find(name);
    return value === undefined || value === null ? otherwise : typeof value === 'string' ? value : this.refuse(name, 'a text');
  }
  /** A number for each of `n` dimensions; one number counts for all. */
  each(name: string, n: number, otherwise?: readonly number[]): number[] {
    const value = this.find(name);
    if ((value === undefined || value === null || (value instanceof PyTuple && value.items.length === 0)) && otherwise) return [...otherwise];
    const list = this.wholes(name).map((item) => (typeof item === 'number' ? item : this.g.fix(item)));
    if (list.length === 1) return Array.from({ length: n }, () => list[0]!);
    return list.length === n ? list : this.refuse(name, `${n} numbers`);
  }
  /** Whole numbers: a sequence, a single one, or `*args` that are either. */
  wholes(name: string): Whole[] {
    const value = this.find(name);
    const flat = this.flatten(value);
    const found = flat?.map(asWhole);
    return found && !found.includes(undefined) ? found as Whole[] : this.refuse(name, 'whole numbers');
  }
  private flatten(value: Value | undefined): readonly Value[] | undefined {
    if (value === undefined) return undefined;
    if (value instanceof PyList || value instanceof PyTuple) {
      if (value instanceof PyList && value.rest !== undefined) return undefined;
      const [only] = value.items;
      if (value.items.length === 1 && (only instanceof PyList || only instanceof PyTuple)) return this.flatten(only);
      return value.items;
    }
    return [value];
  }
  /** Dimensions counted from the front; all of them when none is given. */
  axes(name: string, rank: number): number[] {
    return this.given(name) ? this.wholes(name).map((axis) => wrapAxis(hintOf(axis), rank)) : Array.from({ length: rank }, (_, i) => i);
  }
  axis(name: string, rank: number, otherwise?: number): number {
    return wrapAxis(this.number(name, otherwise), rank);
  }
  /** Name of a dtype (`float32`), when one is given. */
  dtype(name = 'dtype'): string | null {
    const value = this.find(name);
    return value instanceof Opaque ? value.name.replace(/^.*\./, '') : null;
  }
}

export function asWhole(value: Value | undefined): Whole | undefined {
  if (value instanceof Symbolic) return value;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number') return value;
  if (value instanceof PyFloat) return Number.isInteger(value.value) ? value.value : undefined;
  if (value instanceof Tensor && value.data && value.data.length === 1 && value.shape?.length === 0) return value.data[0];
  return undefined;
}
export const wrapAxis = (axis: number, rank: number): number => (axis < 0 ? axis + Math.max(rank, 1) : axis);

const signatures = new Map<string, readonly TorchSignatureParameter[]>();
/** Binds a call to a signature as Python would. */
export function bindCall(g: Tracer, what: string, signature: string, args: Arguments): Bound {
  let parameters = signatures.get(signature);
  if (!parameters) { parameters = parseSignature(signature); signatures.set(signature, parameters); }
  const bound = new Map<string, Value | undefined>();
  const keywords = new Map([...args.keywords].map(([name, value]) => [name in ALIASES && !parameters.some((each) => each.name === name) ? ALIASES[name]! : name, value]));
  let next = 0;
  if (args.rest !== undefined) g.stop(`the arguments of ${what} are not known`);
  for (const { name, kind, ...rest } of parameters) {
    if (kind === 'varargs') {
      const items = args.positional.slice(next);
      next = args.positional.length;
      bound.set(name, items.length === 0 && keywords.has(name) ? keywords.get(name) : new PyTuple(items));
      keywords.delete(name);
    } else if (kind === 'kwargs') keywords.clear();
    else if (kind !== 'keyword' && next < args.positional.length) bound.set(name, args.positional[next++]);
    else if (keywords.has(name)) { bound.set(name, keywords.get(name)); keywords.delete(name); }
    else bound.set(name, fromDefault(rest.default));
  }
  for (const [name, value] of keywords) if (!WITHOUT_EFFECT.has(name) && value !== null) g.stop(`${what} with ${name}= is not traced`);
  if (next < args.positional.length) g.stop(`${what} with ${args.positional.length} arguments is not traced`);
  return new Bound(g, what, (name) => bound.get(name));
}
function fromDefault(value: unknown): Value | undefined {
  if (Array.isArray(value)) return new PyTuple(value.map((item) => fromDefault(item) ?? null));
  if (typeof value === 'number' && !Number.isInteger(value)) return new PyFloat(value);
  return value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : undefined;
}
