/** Operators and modules by name. A family of operators is one file under ops/ that fills this table when it is loaded. */
import type { Instance, Value } from '../python/values/values';
import type { SourceSpan } from '../python/module-tree';
import type { Bound } from './bound';
import type { Tracer } from './tracer';

export interface Operator {
  /** Parameters as Python writes them; the first is the tensor when it is called as a method. */
  readonly signature: string;
  readonly run: (g: Tracer, args: Bound, site: SourceSpan) => Value;
}
export interface LibraryModule {
  /** Parameters of forward, without self. */
  readonly signature: string;
  readonly run: (g: Tracer, module: Bound, args: Bound, instance: Instance) => Value;
}

const operators = new Map<string, Operator>();
const modules = new Map<string, LibraryModule>();

/**
 * Names an operator: `relu` is torch.relu, F.relu and the method; a dotted name (`torch.max`, `Tensor.view`) is only that one.
 * Several names are separated by spaces.
 */
export function define(names: string, signature: string, run: Operator['run']): void {
  for (const name of names.split(' ')) operators.set(name, { signature, run });
}
/** Names a module of torch.nn (or another package, by its class's name). */
export function defineModule(names: string, signature: string, run: LibraryModule['run']): void {
  for (const name of names.split(' ')) modules.set(name, { signature, run });
}

const SHORT = /^torch\.(?:nn\.functional\.|special\.|_C\._nn\.|ops\.aten\.)?(\w+)$/;
/** The operator of a function's full name. */
export function functionNamed(fullName: string): Operator | undefined {
  const short = SHORT.exec(fullName)?.[1];
  return operators.get(fullName) ?? (short === undefined ? undefined : operators.get(short));
}
export function methodNamed(name: string): Operator | undefined {
  return operators.get(`Tensor.${name}`) ?? operators.get(name);
}
export const moduleNamed = (className: string): LibraryModule | undefined => modules.get(className);

