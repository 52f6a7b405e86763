/**
 * Reverse-mode differentiation. The gradient is emitted as more ONNX operators, so that one step of training or reconstruction is
 * one run of a session. Free dimensions stay free.
 */
import { GraphEmitter } from '../emitter';
import type { Graph, GraphNode } from '../graph';
import { isFlat, NoGradient, ruleOf } from './rule';
import './rules';

export interface GradientGraph {
  /** Outputs: the loss, then the gradients in the order asked for. */
  readonly graph: Graph;
  /** Output that holds the gradient with respect to each value. */
  readonly gradients: ReadonlyMap<string, string>;
}

/**
 * @param loss a value of one element
 * @param wrt inputs, initializers or values in between, of floating-point type
 * @throws Error naming the operator and module that has no gradient, or the value that the loss does not depend on
 */
export function gradientGraph(graph: Graph, loss: string, wrt: readonly string[]): GradientGraph {
  const g = new GraphEmitter(graph);
  const { shape } = g.value(loss);
  if (!shape.every((dim) => dim === 1)) throw new Error(`the loss ${JSON.stringify(loss)} has shape [${shape.join(', ')}]; a gradient is taken of one number`);
  const gradients = emitGradients(g, loss, wrt);
  const outputs = wrt.map((name) => gradients.get(name)!);
  return { graph: g.finish([...new Set([loss, ...outputs])]), gradients };
}

/** Adds the gradient of `loss` to what the emitter holds. @returns the value that holds each gradient */
export function emitGradients(g: GraphEmitter, loss: string, wrt: readonly string[]): Map<string, string> {
  const forward = [...g.nodes];
  for (const name of wrt) if (!g.isFloat(name)) throw new Error(`${JSON.stringify(name)} is of type ${g.type(name)}; gradients are those of floating-point values`);
  const moving = movingValues(g, forward, wrt);
  const parts = new Map<string, string[]>([[loss, [g.constant(g.type(loss), g.shape(loss) as number[], [1])]]]);
  const gradientOf = (name: string): string | null => {
    const all = parts.get(name);
    if (!all) return null;
    const total = g.sum(all);
    parts.set(name, [total]);
    return total;
  };
  for (const node of [...forward].reverse()) {
    if (!node.outputs.some((output) => moving.has(output) && parts.has(output))) continue;
    g.module = node.module;
    const made = differentiate(g, node, node.outputs.map((output) => (output === '' ? null : gradientOf(output))), moving);
    node.inputs.forEach((input, i) => {
      const gradient = made[i];
      if (input !== '' && gradient && moving.has(input)) parts.set(input, [...(parts.get(input) ?? []), gradient]);
    });
  }
  return new Map(wrt.map((name) => {
    const gradient = gradientOf(name);
    if (gradient === null) throw new Error(`the loss ${JSON.stringify(loss)} does not depend on ${JSON.stringify(name)}, or only in steps`);
    return [name, gradient];
  }));
}

/** Values that depend on the variables in a way that has a gradient. */
function movingValues(g: GraphEmitter, nodes: readonly GraphNode[], wrt: readonly string[]): Set<string> {
  const moving = new Set(wrt);
  for (const node of nodes) {
    if (isFlat(node.op) || !node.inputs.some((input) => moving.has(input))) continue;
    for (const output of node.outputs) if (output !== '' && g.isFloat(output)) moving.add(output);
  }
  return moving;
}

function differentiate(g: GraphEmitter, node: GraphNode, gradients: readonly (string | null)[], moving: ReadonlySet<string>): readonly (string | null)[] {
  const rule = node.domain ? undefined : ruleOf(node.op);
  const at = node.module === '' ? '' : ` (in module ${node.module})`;
  if (!rule) throw new Error(`no gradient is known of the operator ${node.domain ? `${node.domain}.` : ''}${node.op}${at}`);
  // Operators of several outputs are handed all gradients; most have one.
  const gradient = gradients.find((each) => each !== null)!;
  try {
    return rule(g, { node, gradients, gradient: gradients[0] ?? gradient, needs: (i) => moving.has(node.inputs[i] ?? '') });
  } catch (error) {
    if (error instanceof NoGradient) throw new Error(`the gradient of the operator ${node.op}${at}: ${error.message}`, { cause: error });
    throw error;
  }
}
