/** Collects the nodes of a graph while a model is traced. Names are final only at the end. */
import type { Attribute, Graph, GraphInitializer, GraphNode, GraphSpan, GraphValue, SmallTensor } from '../../kernels/graph/graph';
import type { OnnxType } from '../../kernels/graph/onnx-types';
import { Tensor, type TracedValue } from '../python/values/values';
import { Symbolic, type Atom, type Whole, wholeText } from '../python/values/symbolic';
import type { SourceSpan } from '../python/module-tree';

export type Attributes = Readonly<Record<string, Attribute>>;
export interface Shaped { readonly type: OnnxType; readonly dims: readonly Whole[]; readonly complex?: boolean }

/** Opset with Gelu, which ONNX Runtime and others run as one operator. */
const OPSET = 20;
const NOWHERE: SourceSpan = { file: '', startLine: 0, startColumn: 0, endLine: 0, endColumn: 0 };

interface Where { readonly module: string; readonly span: SourceSpan | undefined }

export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  private readonly values = new Map<string, GraphValue>();
  private readonly initializers = new Map<string, GraphInitializer>();
  private readonly constants = new Map<string, TracedValue>();
  private readonly sizes = new Map<string, string>();
  private readonly inputs: GraphValue[] = [];
  private readonly standIns = new Set<string>();
  /** Which dimension of which input a free dimension is. */
  private readonly free = new Map<string, { input: string; axis: number }>();
  private count = 0;

  /** @param where the module and the source that the next nodes come from. */
  constructor(private readonly where: () => Where) {}

  private fresh(): string { this.count += 1; return `v${this.count}`; }

  private value(name: string, { type, dims, complex = false }: Shaped): TracedValue {
    this.values.set(name, { name, type, shape: [...dims.map((dim) => (typeof dim === 'number' ? dim : wholeText(dim))), ...(complex ? [2] : [])] });
    return { name, type, dims, complex };
  }
  tensor(traced: TracedValue): Tensor {
    const made = new Tensor(traced.dims.map((dim) => (typeof dim === 'number' ? dim : null)), this.where().span ?? NOWHERE);
    made.traced = traced;
    return made;
  }

  input(name: string, type: OnnxType, dims: readonly Whole[]): Tensor {
    dims.forEach((dim, axis) => {
      if (dim instanceof Symbolic && dim.terms.length === 1 && !this.free.has(dim.key)) this.free.set(dim.key, { input: name, axis });
    });
    const traced = this.value(name, { type, dims });
    this.inputs.push(this.values.get(name)!);
    return this.tensor(traced);
  }

  isInput(tensor: Tensor): boolean { return this.inputs.some(({ name }) => name === tensor.traced?.name); }

  /** A tensor of the checkpoint, once however often it is used. */
  parameter(name: string, source: string, type: OnnxType, shape: readonly number[]): TracedValue {
    if (!this.initializers.has(name)) this.initializers.set(name, { name, type, shape, data: { checkpoint: source } });
    return this.values.has(name) ? { name, type, dims: shape, complex: false } : this.value(name, { type, dims: shape });
  }

  /** A value of which only the shape is known. */
  standIn(type: OnnxType, shape: readonly number[]): TracedValue {
    const made = this.value(this.fresh(), { type, dims: shape });
    this.standIns.add(made.name);
    return made;
  }
  /** Stand-ins and everything computed from them. */
  standing(): ReadonlySet<string> {
    if (this.standIns.size === 0) return this.standIns;
    const found = new Set(this.standIns);
    for (const node of this.nodes) if (node.inputs.some((input) => found.has(input))) node.outputs.forEach((output) => found.add(output));
    return found;
  }

  constant(type: OnnxType, shape: readonly number[], values: SmallTensor['values']): TracedValue {
    const key = `${type}:${shape.join('x')}:${values.join(',')}`;
    const known = this.constants.get(key);
    if (known) return known;
    const name = `constant_${this.constants.size}`;
    this.initializers.set(name, { name, type, shape, data: { values } });
    const made = this.value(name, { type, dims: shape });
    this.constants.set(key, made);
    return made;
  }

  /** Adds a node; gives one tensor for each output. */
  emit(op: string, inputs: readonly (string | null)[], attributes: Attributes, outputs: readonly Shaped[]): Tensor[] {
    const made = outputs.map((shaped) => this.value(this.fresh(), shaped));
    this.add(op, inputs, made.map(({ name }) => name), attributes);
    return made.map((traced) => this.tensor(traced));
  }
  private add(op: string, inputs: readonly (string | null)[], outputs: readonly string[], attributes: Attributes): void {
    const { module, span } = this.where();
    const names = inputs.map((name) => name ?? '');
    while (names.length > 0 && names.at(-1) === '') names.pop();
    this.nodes.push({ op, inputs: names, outputs, ...(Object.keys(attributes).length > 0 ? { attributes } : {}), module, ...(span ? { span: span as GraphSpan } : {}) });
  }

  /** Name of a one-element int64 vector that holds a size. */
  size(value: Whole): string {
    if (typeof value === 'number') return this.constant('I64', [1], [value]).name;
    const known = this.sizes.get(value.key);
    if (known !== undefined) return known;
    let sum: string | null = null;
    for (const { coefficient, atoms } of value.terms) {
      let term: string | null = coefficient === 1 && atoms.length > 0 ? null : this.size(coefficient);
      for (const atom of atoms) term = term === null ? this.atom(atom) : this.wholeNode('Mul', [term, this.atom(atom)]);
      sum = sum === null ? term! : this.wholeNode('Add', [sum, term!]);
    }
    this.sizes.set(value.key, sum!);
    return sum!;
  }
  private wholeNode(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.emit(op, inputs, attributes, [{ type: 'I64', dims: [1] }])[0]!.traced!.name;
  }
  private atom(atom: Atom): string {
    const known = this.sizes.get(atom.key);
    if (known !== undefined) return known;
    let name: string;
    if (atom.of === 'free') {
      const place = this.free.get(atom.key);
      if (!place) throw new Error(`no input has the dimension ${atom.key}`);
      name = this.wholeNode('Shape', [place.input], { start: { int: place.axis }, end: { int: place.axis + 1 } });
    } else {
      const [a, b] = atom.operands.map((operand) => this.size(operand));
      // ONNX divides whole numbers towards zero; sizes are not negative, so that this is Python's floor.
      name = this.wholeNode({ floor: 'Div', mod: 'Mod', max: 'Max', min: 'Min' }[atom.of], [a!, b!]);
    }
    this.sizes.set(atom.key, name);
    return name;
  }

  /** A shape as an int64 vector. */
  shape(dims: readonly Whole[]): string {
    if (dims.every((dim) => typeof dim === 'number')) return this.constant('I64', [dims.length], dims).name;
    return this.emit('Concat', dims.map((dim) => this.size(dim)), { axis: { int: 0 } }, [{ type: 'I64', dims: [dims.length] }])[0]!.traced!.name;
  }

  /** The last value of a module's own node, for a trace that ends early. */
  last(): TracedValue | undefined {
    const name = this.nodes.at(-1)?.outputs[0];
    const value = name === undefined ? undefined : this.values.get(name);
    return value && { name: value.name, type: value.type, dims: value.shape.filter((dim): dim is number => typeof dim === 'number'), complex: false };
  }

  /** The graph of what the outputs need. Outputs that are inputs, weights or given twice get a node of their own. */
  finish(name: string, outputs: readonly { name: string; value: TracedValue }[]): Graph {
    const taken = new Set<string>();
    const renamed = new Map<string, string>();
    for (const output of outputs) {
      const made = !this.initializers.has(output.value.name) && !this.inputs.some((input) => input.name === output.value.name) && !renamed.has(output.value.name);
      const safe = uniqueName(output.name, (candidate) => taken.has(candidate) || this.values.has(candidate));
      taken.add(safe);
      if (made) renamed.set(output.value.name, safe);
      else {
        this.add('Identity', [output.value.name], [safe], {});
        this.values.set(safe, { ...this.values.get(output.value.name)!, name: safe });
      }
    }
    const names = [...taken];
    const rename = (value: string): string => renamed.get(value) ?? value;
    const needed = new Set(outputs.map((output, i) => (renamed.get(output.value.name) === names[i] ? output.value.name : names[i]!)));
    const nodes = [...this.nodes].reverse().filter((node) => {
      if (!node.outputs.some((output) => needed.has(output))) return false;
      node.inputs.forEach((input) => needed.add(input));
      return true;
    }).reverse();
    const produced = new Set(nodes.flatMap((node) => node.outputs));
    return {
      name, opset: OPSET, inputs: this.inputs,
      outputs: names.map((each, i) => ({ ...this.values.get(outputs[i]!.value.name)!, name: each })),
      nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) })),
      initializers: [...this.initializers.values()].filter((initializer) => needed.has(initializer.name)),
      values: [...this.values.values()].filter((value) => produced.has(value.name) && !renamed.has(value.name) && !taken.has(value.name)),
    };
  }
}

function uniqueName(wanted: string, taken: (name: string) => boolean): string {
  let name = wanted;
  for (let i = 1; taken(name); i += 1) name = `${wanted}_${i}`;
  return name;
}
