/**
 * Vector-Jacobian products: from the gradients of an operator's outputs to those of its inputs, as operators again. Each family
 * of operators has its file; `define` enters them in one registry.
 */
import type { Attribute, GraphNode } from '../graph';
import type { GraphEmitter } from '../emitter';

export interface RuleCall {
  readonly node: GraphNode;
  /** Gradients of the outputs; null where the loss does not depend on one. At least one is there. */
  readonly gradients: readonly (string | null)[];
  /** The gradient of the first output. */
  readonly gradient: string;
  /** Is the gradient of input i asked for? */
  needs(i: number): boolean;
}
/** Gradients of the inputs, in order; null or missing where there is none or it is not asked for. */
export type Rule = (g: GraphEmitter, call: RuleCall) => readonly (string | null)[];

const rules = new Map<string, Rule>();
const flat = new Set<string>();

/** @param names operators, with spaces between */
export function define(names: string, rule: Rule): void {
  for (const name of names.split(' ')) rules.set(name, rule);
}
/** Operators whose result does not change, or only in steps, when their inputs change a little. */
export function defineFlat(names: string): void {
  for (const name of names.split(' ')) flat.add(name);
}
export const ruleOf = (op: string): Rule | undefined => rules.get(op);
export const isFlat = (op: string): boolean => flat.has(op);
export const differentiableOperators = (): string[] => [...rules.keys()].sort();

/** What a rule refuses; the walk adds which operator of which module it is. */
export class NoGradient extends Error {}

// ---- attributes ----

const attribute = (node: GraphNode, name: string): Attribute | undefined => node.attributes?.[name];
export function intOf(node: GraphNode, name: string, otherwise: number): number {
  const found = attribute(node, name);
  return found && 'int' in found ? found.int : otherwise;
}
export function floatOf(node: GraphNode, name: string, otherwise: number): number {
  const found = attribute(node, name);
  return found && 'float' in found ? found.float : otherwise;
}
export function textOf(node: GraphNode, name: string, otherwise: string): string {
  const found = attribute(node, name);
  return found && 'text' in found ? found.text : otherwise;
}
export function intsOf(node: GraphNode, name: string): readonly number[] | null {
  const found = attribute(node, name);
  return found && 'ints' in found ? found.ints : null;
}
