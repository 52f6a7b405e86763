/**
 * What the interpreter asks of a tracer, when one is at work: everything that touches the values of tensors. Without one,
 * tensors are shapes only. Implemented by server/trace.
 */
import type { SourceSpan } from '../module-tree';
import type { Located } from '../syntax/ast';
import type { Arguments, Instance, PyClass, Tensor, UnknownValue, Value } from '../values/values';
import type { Symbolic } from '../values/symbolic';
import type { Machine } from './machine';

export interface TracePort {
  /** The interpreter at work. */
  machine: Machine;
  /** False while constructors run: what cannot be traced there is known as a shape, and counts only when forward uses it. */
  readonly strict: boolean;
  /** Ends the trace: what follows depends on something that is not known. */
  stop(reason: string, span?: SourceSpan): never;
  /**
   * A function of torch (or another library) by full name; undefined when the tracer has nothing to say about it. `plain` does
   * the same without a tracer: the numbers of small tensors.
   */
  callFunction(machine: Machine, name: string, args: Arguments, site: SourceSpan, plain?: () => Value): Value | undefined;
  /** A free dimension has to be a number here: the trace begins again with its example value in its place. */
  fix(value: Symbolic): never;
  callModule(machine: Machine, module: Instance, args: Arguments, site: SourceSpan): Value;
  /** `forward` of a library class, as `super().forward` finds it. */
  libraryForward(module: Instance, cls: PyClass): Value | undefined;
  /** A parameter that a module keeps as others (weight_norm's length and direction), as forward sees it. */
  derivedParameter(module: Instance, name: string): Value | undefined;
  attribute(machine: Machine, tensor: Tensor, name: string): Value | undefined;
  item(machine: Machine, tensor: Tensor, index: Value): Value | undefined;
  setItem(machine: Machine, tensor: Tensor, index: Value, value: Value): boolean;
  /** Operators on tensors and free dimensions; undefined when neither side is one. */
  binary(machine: Machine, operator: string, a: Value, b: Value, inPlace: boolean): Value | undefined;
  unary(machine: Machine, operator: string, value: Value): Value | undefined;
  compare(machine: Machine, operator: string, a: Value, b: Value): Value | undefined;
  truth(machine: Machine, value: Tensor | Symbolic): boolean | undefined;
  iterate(machine: Machine, tensor: Tensor): Value[] | undefined;
  /** Told of what an expression, a name that is assigned to, or a parameter is: it must be quick. */
  seen(node: Located, value: Value): void;
  /** Told of branches on something that is not known. */
  undecided(why: UnknownValue): void;
}
