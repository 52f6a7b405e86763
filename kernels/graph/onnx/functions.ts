/**
 * Operators that a model defines itself (FunctionProto): their bodies in place of the nodes that call them, so that the weights
 * they apply are seen. Exporters make a function of every module.
 */
import { LENGTH, VARINT, WireError, type WireReader } from '../../checkpoint/onnx/wire';
import type { Attribute, GraphNode } from '../graph';
import { readName, readNode, readOneAttribute, type ReadBudget, type ReadNode } from './read-node';

/** Calls within calls. */
const MOST_DEEP = 64;

interface ModelFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly ReadNode[];
  /** Values of attributes that a call does not give. */
  readonly defaults: Readonly<Record<string, Attribute>>;
  /** False for bodies that cannot be put in place of a call: with branches, whose names stay as written, or of another operator set. */
  readonly plain: boolean;
}

export class Functions {
  private readonly byName = new Map<string, ModelFunction>();
  private readonly opsets = new Map<string, readonly [string, number][]>();

  /** @throws WireError */
  read(wire: WireReader, at: number, end: number, budget: ReadBudget): void {
    let [name, domain] = ['', ''];
    const [inputs, outputs, nodes, opsets]: [string[], string[], ReadNode[], [string, number][]] = [[], [], [], []];
    const defaults: [number, number][] = [];
    for (let position = at; wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = wire;
      if (kind === LENGTH) {
        if (field === 1) name = readName(wire, start, after, budget);
        else if (field === 4) inputs.push(readName(wire, start, after, budget));
        else if (field === 5) outputs.push(readName(wire, start, after, budget));
        else if (field === 7) nodes.push(readNode(wire, start, after, budget, false));
        else if (field === 9) opsets.push(readOpset(wire, start, after, budget));
        else if (field === 10) domain = readName(wire, start, after, budget);
        else if (field === 11) defaults.push([start, after]);
      }
      position = after;
    }
    this.opsets.set(key(domain, name), opsets);
    this.byName.set(key(domain, name), {
      inputs, outputs, nodes, plain: nodes.every(({ inner }) => inner.size === 0),
      defaults: Object.fromEntries(defaults.map(([start, after]) => readOneAttribute(wire, start, after, budget))),
    });
  }
  /**
   * @param opsets of the model: a body of other versions stays a function
   * @param most nodes in the end
   * @throws WireError for functions that call themselves, or grow beyond the limit
   */
  inlined(nodes: readonly ReadNode[], opsets: ReadonlyMap<string, number>, most: number, budget: ReadBudget): ReadNode[] {
    if (this.byName.size === 0) return [...nodes];
    let all = [...nodes];
    let serial = 0;
    for (let depth = 0; ; depth += 1) {
      let calls = 0;
      const next: ReadNode[] = [];
      for (const each of all) {
        const { op, domain = '' } = each.node;
        const called = this.byName.get(key(domain, op));
        if (!called?.plain || !this.opsets.get(key(domain, op))!.every(([of, version]) => opsets.get(of) === version || version === 0)) { next.push(each); continue; }
        calls += 1;
        serial += 1;
        for (const made of bodyOf(called, each.node, `${op}#${serial}`, budget)) next.push(made);
        if (next.length > most) throw new WireError(`with its functions put in, the graph has more than ${most} nodes`, 0);
      }
      all = next;
      if (calls === 0) return all;
      if (depth >= MOST_DEEP) throw new WireError('functions of the model call themselves', 0);
    }
  }

  /** Is a node a call of one of these? */
  has({ op, domain = '' }: GraphNode): boolean {
    return this.byName.has(key(domain, op));
  }
}

const key = (domain: string, name: string): string => `${domain}\0${name}`;

/** @param prefix of the names that the body gives its own values */
function bodyOf({ inputs, outputs, nodes, defaults }: ModelFunction, call: GraphNode, prefix: string, budget: ReadBudget): ReadNode[] {
  const names = new Map<string, string>();
  outputs.forEach((name, i) => { if (call.outputs[i]) names.set(name, call.outputs[i]!); });
  inputs.forEach((name, i) => names.set(name, call.inputs[i] ?? ''));
  const named = (name: string): string => {
    if (name === '') return '';
    const made = names.get(name) ?? `${prefix}/${name}`;
    budget.take(made.length + 16, 0);
    return made;
  };
  const { module } = call;
  const body = nodes.map(({ node, references }): ReadNode => {
    const attributes = Object.entries(node.attributes ?? {}).flatMap(([name, value]): [string, Attribute][] => {
      const source = references.get(name);
      const given = source === undefined ? value : call.attributes?.[source] ?? defaults[source];
      return given ? [[name, given]] : [];
    });
    const { attributes: _own, ...rest } = node;
    const made: GraphNode = { ...rest, inputs: node.inputs.map(named), outputs: node.outputs.map(named), ...(attributes.length > 0 ? { attributes: Object.fromEntries(attributes) } : {}), module: module || node.module };
    return { node: made, inner: NOTHING, tensors: new Map(), references: new Map() };
  });
  // An input that is given back as it is needs a node of its own.
  const copies = outputs.flatMap((name, i): ReadNode[] => (inputs.includes(name) && call.outputs[i] ? [{ node: { op: 'Identity', inputs: [named(name)], outputs: [call.outputs[i]!], module }, inner: NOTHING, tensors: new Map(), references: new Map() }] : []));
  return [...body, ...copies];
}
const NOTHING: ReadonlySet<string> = new Set();

export function readOpset(wire: WireReader, at: number, end: number, budget: ReadBudget): [string, number] {
  let [domain, version] = ['', 0];
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    if (field === 1 && kind === LENGTH) domain = readName(wire, start, after, budget);
    else if (field === 2 && kind === VARINT) version = Number(wire.value);
    position = after;
  }
  return [domain === 'ai.onnx' ? '' : domain, version];
}
