/** Small helpers for writing library functions. */
import type { SourceSpan } from '../module-tree';
import type { UnknownValue} from '../values/values';
import { Builtin, Namespace, Opaque, type Arguments, type NativeCall, type Value } from '../values/values';
import type { Machine } from '../evaluation/machine';

export const builtin = (name: string, call: NativeCall): Builtin => new Builtin(name, call);
export const method = (name: string, call: NativeCall): Builtin => new Builtin(name, call, true);

/** Argument by position or name. */
export function argument(args: Arguments, index: number, name = ''): Value | undefined {
  return index < args.positional.length ? args.positional[index] : args.keywords.get(name);
}

const torchNames = new WeakMap<Builtin, string>();
/** Remembers under which name a function of torch was found: what a tracer knows it by. */
export function nameTorchFunction(value: Builtin, fullName: string): void { if (!torchNames.has(value)) torchNames.set(value, fullName); }
export const torchFunctionName = (value: Builtin): string | undefined => torchNames.get(value);

/** Gives back its first argument: decorators without consequence, `.to()`, `nn.init.*`. */
export const transparent = (name: string): Builtin => new Builtin(name, (_, args) => args.positional[0] ?? null);
/** A decorator that may be used with or without arguments and changes nothing. */
export const decorator = (name: string): Builtin => new Builtin(name, (_, args) => (args.positional.length === 1 && args.keywords.size === 0 ? args.positional[0]! : transparent(name)));
export const nothing = (name: string): Builtin => new Builtin(name, () => null);
export const notKnown = (machine: Machine, what: string, span?: SourceSpan): UnknownValue => machine.unknown(`${what} is not evaluated`, span);

export function namespace(name: string, members: Readonly<Record<string, Value>>, fallback: (member: string) => Value | undefined = () => undefined): Namespace {
  const known = new Map(Object.entries(members));
  return new Namespace(name, (member) => known.get(member) ?? fallback(member));
}
/** A library module of which only the named members matter; the others exist. */
export const openNamespace = (name: string, members: Readonly<Record<string, Value>> = {}): Namespace => namespace(name, members, (member) => new Opaque(`${name}.${member}`));
