/**
 * Adds operators to a graph and keeps type and shape of every value known, so that what is emitted can be built upon: gradients,
 * losses and quantizers are made of it. Operators are emitted in forms that opsets 17 to 21 share.
 */
import type { Attribute, Graph, GraphDim, GraphInitializer, GraphNode, GraphValue, SmallTensor } from './graph';
import { onnxTypeCode, type OnnxType } from './onnx-types';

type Attributes = Readonly<Record<string, Attribute>>;
export interface Shaped { readonly type: OnnxType; readonly shape: readonly GraphDim[] }

export class GraphEmitter {
  readonly nodes: GraphNode[];
  readonly initializers: GraphInitializer[];
  readonly inputs: GraphValue[];
  /** Module that emitted nodes are said to be of. */
  module = '';
  private readonly known = new Map<string, GraphValue>();
  private readonly constants = new Map<string, readonly number[]>();
  /** Emitted nodes by what they compute: the same is never computed twice. */
  private readonly computed = new Map<string, string>();
  private made = 0;

  constructor(private readonly graph: Graph, private readonly prefix = 'd') {
    this.nodes = [...graph.nodes];
    this.initializers = [...graph.initializers];
    this.inputs = [...graph.inputs];
    for (const { name, type, shape } of [...(graph.values ?? []), ...graph.initializers, ...graph.inputs, ...graph.outputs]) this.known.set(name, { name, type, shape });
    for (const { name, data, type } of graph.initializers) if ('values' in data && (type === 'I64' || type === 'F32' || type === 'I32')) this.constants.set(name, data.values.map(Number));
    // Names that nodes give but nobody has described are taken all the same.
    for (const name of graph.nodes.flatMap(({ outputs }) => outputs)) if (!this.known.has(name)) this.taken.add(name);
  }
  private readonly taken = new Set<string>();

  get opset(): number { return this.graph.opset; }

  /** @throws Error for a value nobody has described. */
  value(name: string): GraphValue {
    const found = this.known.get(name);
    if (!found) throw new Error(`the type of the value ${JSON.stringify(name)} is not known`);
    return found;
  }
  shape(name: string): readonly GraphDim[] { return this.value(name).shape; }
  rank(name: string): number { return this.value(name).shape.length; }
  type(name: string): OnnxType { return this.value(name).type; }
  isFloat(name: string): boolean { return ['F32', 'F16', 'BF16', 'F64'].includes(this.type(name)); }
  /** Numbers of a constant that is written out in the graph; null for anything else. */
  numbers(name: string | undefined): readonly number[] | null { return name ? this.constants.get(name) ?? null : null; }

  /** A name that is not taken. */
  fresh(wanted?: string): string {
    let name = wanted ?? '';
    while (name === '' || this.known.has(name) || this.taken.has(name)) { this.made += 1; name = wanted === undefined ? `${this.prefix}${this.made}` : `${wanted}_${this.made}`; }
    return name;
  }
  /** A size that nothing is known about. */
  unknownDim(): string { this.made += 1; return `?${this.prefix}${this.made}`; }

  input(wanted: string, type: OnnxType, shape: readonly GraphDim[]): string {
    const value = { name: this.fresh(wanted), type, shape };
    this.known.set(value.name, value);
    this.inputs.push(value);
    return value.name;
  }
  constant(type: OnnxType, shape: readonly number[], values: SmallTensor['values']): string {
    const key = `constant ${type} ${shape.join('x')} ${values.join(',')}`;
    const found = this.computed.get(key);
    if (found !== undefined) return found;
    const name = this.fresh();
    this.initializers.push({ name, type, shape, data: { values } });
    this.known.set(name, { name, type, shape });
    this.constants.set(name, values.map(Number));
    this.computed.set(key, name);
    return name;
  }
  /** A number of the type that `like` has. */
  scalar(value: number, like?: string): string { return this.constant(like === undefined ? 'F32' : this.type(like), [], [value]); }
  ints(values: readonly number[]): string { return this.constant('I64', [values.length], values); }

  /** @returns one name for each output */
  emitAll(op: string, inputs: readonly string[], attributes: Attributes, outputs: readonly Shaped[]): string[] {
    const key = outputs.length === 1 ? `${op} ${JSON.stringify(inputs)} ${JSON.stringify(attributes)}` : '';
    const found = key === '' ? undefined : this.computed.get(key);
    if (found !== undefined) return [found];
    const names = outputs.map((shaped) => {
      const name = this.fresh();
      this.known.set(name, { name, ...shaped });
      return name;
    });
    this.nodes.push({ op, inputs, outputs: names, ...(Object.keys(attributes).length > 0 ? { attributes } : {}), module: this.module });
    if (key !== '') this.computed.set(key, names[0]!);
    return names;
  }
  emit(op: string, inputs: readonly string[], attributes: Attributes, output: Shaped): string { return this.emitAll(op, inputs, attributes, [output])[0]!; }
  /** An operator whose result is like its first input. */
  same(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const { type, shape } = this.value(inputs[0]!);
    return this.emit(op, inputs, attributes, { type, shape });
  }

  // ---- elementwise, with broadcasting ----

  private broadcast(names: readonly string[]): GraphDim[] {
    const shapes = names.map((name) => this.shape(name));
    const rank = Math.max(...shapes.map(({ length }) => length));
    return Array.from({ length: rank }, (_, i) => shapes.map((shape) => shape[i - rank + shape.length] ?? 1).reduce((a, b) => {
      if (a === b || b === 1) return a;
      if (a === 1) return b;
      return typeof a === 'number' ? a : typeof b === 'number' ? b : this.unknownDim();
    }));
  }
  elementwise(op: string, ...inputs: string[]): string { return this.emit(op, inputs, {}, { type: this.type(inputs[0]!), shape: this.broadcast(inputs) }); }
  add(a: string, b: string): string { return this.elementwise('Add', a, b); }
  sub(a: string, b: string): string { return this.elementwise('Sub', a, b); }
  mul(a: string, b: string): string { return this.elementwise('Mul', a, b); }
  div(a: string, b: string): string { return this.elementwise('Div', a, b); }
  neg(a: string): string { return this.same('Neg', [a]); }
  /** a x number. */
  times(a: string, factor: number): string { return factor === 1 ? a : this.mul(a, this.scalar(factor, a)); }
  plus(a: string, addend: number): string { return this.add(a, this.scalar(addend, a)); }
  compare(op: 'Equal' | 'Less' | 'LessOrEqual' | 'Greater' | 'GreaterOrEqual', a: string, b: string): string { return this.emit(op, [a, b], {}, { type: 'BOOL', shape: this.broadcast([a, b]) }); }
  logical(op: 'And' | 'Or', a: string, b: string): string { return this.elementwise(op, a, b); }
  where(condition: string, a: string, b: string): string { return this.emit('Where', [condition, a, b], {}, { type: this.type(a), shape: this.broadcast([condition, a, b]) }); }
  cast(a: string, type: OnnxType): string { return this.type(a) === type ? a : this.emit('Cast', [a], { to: { int: onnxTypeCode(type)! } }, { type, shape: this.shape(a) }); }
  sum(parts: readonly string[]): string { return parts.length === 1 ? parts[0]! : parts.length === 2 ? this.add(parts[0]!, parts[1]!) : this.same('Sum', parts); }

  // ---- reductions and shapes ----

  /** Sum over these axes. */
  reduceSum(a: string, axes: readonly number[], keep: boolean): string {
    if (axes.length === 0) return a;
    const shape = this.shape(a);
    const at = axes.map((axis) => (axis < 0 ? axis + shape.length : axis));
    const made = keep ? shape.map((dim, i) => (at.includes(i) ? 1 : dim)) : shape.filter((_, i) => !at.includes(i));
    return this.emit('ReduceSum', [a, this.ints(at)], { keepdims: { int: keep ? 1 : 0 } }, { type: this.type(a), shape: made });
  }
  /** How many elements lie along these axes, as a number of `a`'s type. */
  count(a: string, axes: readonly number[]): string {
    const shape = this.shape(a);
    const sizes = axes.map((axis) => shape[axis < 0 ? axis + shape.length : axis]!);
    if (sizes.every((size) => typeof size === 'number')) return this.scalar((sizes as number[]).reduce((x, y) => x * y, 1), a);
    const each = axes.map((axis) => this.cast(this.reshape(this.size(a, axis), []), this.type(a)));
    return each.reduce((x, y) => this.mul(x, y));
  }
  mean(a: string, axes: readonly number[], keep: boolean): string { return this.div(this.reduceSum(a, axes, keep), this.count(a, axes)); }

  /** Size along an axis, as an int64 vector of one. */
  size(a: string, axis: number): string {
    const shape = this.shape(a);
    const at = axis < 0 ? axis + shape.length : axis;
    const dim = shape[at]!;
    return typeof dim === 'number' ? this.ints([dim]) : this.emit('Shape', [a], { start: { int: at }, end: { int: at + 1 } }, { type: 'I64', shape: [1] });
  }
  /** Shape as an int64 vector. */
  shapeOf(a: string): string {
    const shape = this.shape(a);
    return shape.every((dim) => typeof dim === 'number') ? this.ints(shape as number[]) : this.emit('Shape', [a], {}, { type: 'I64', shape: [shape.length] });
  }
  /** Int64 vectors one after another. */
  joined(parts: readonly string[]): string {
    const constant = parts.map((part) => this.numbers(part));
    if (constant.every((part) => part !== null)) return this.ints(constant.flatMap((part) => [...part!]));
    const lengths = parts.map((part) => this.shape(part)[0]!);
    const length = lengths.every((each) => typeof each === 'number') ? (lengths as number[]).reduce((sum, each) => sum + each, 0) : this.unknownDim();
    return parts.length === 1 ? parts[0]! : this.emit('Concat', parts, { axis: { int: 0 } }, { type: 'I64', shape: [length] });
  }
  /** Sum or difference of int64 vectors of one, worked out at once where both are known. */
  whole(op: 'Add' | 'Sub' | 'Mul' | 'Div', a: string, b: string): string {
    const [x, y] = [this.numbers(a), this.numbers(b)];
    if (!x || !y || x.length !== 1 || y.length !== 1) return this.elementwise(op, a, b);
    return this.ints([op === 'Add' ? x[0]! + y[0]! : op === 'Sub' ? x[0]! - y[0]! : op === 'Mul' ? x[0]! * y[0]! : Math.trunc(x[0]! / y[0]!)]);
  }

  /** @param wanted numbers, -1 once at most; 0 keeps the size at that place */
  reshape(a: string, wanted: readonly number[]): string {
    const own = this.shape(a);
    const shape = wanted.map((dim, i) => (dim === 0 && typeof own[i] === 'number' ? own[i] : dim));
    if (own.length === shape.length && own.every((dim, i) => dim === shape[i])) return a;
    const total = own.every((dim) => typeof dim === 'number') ? (own as number[]).reduce((x, y) => x * y, 1) : null;
    const rest = shape.filter((dim) => dim >= 0).reduce((x, y) => x * y, 1);
    const made = shape.map((dim, i): GraphDim => (dim > 0 ? dim : dim === 0 ? own[i]! : total !== null && rest > 0 ? total / rest : this.unknownDim()));
    return this.emit('Reshape', [a, this.ints(shape)], {}, { type: this.type(a), shape: made });
  }
  /** @param target int64 vector */
  reshapeBy(a: string, target: string, shape: readonly GraphDim[]): string { return this.emit('Reshape', [a, target], {}, { type: this.type(a), shape }); }
  /** As many elements, in the shape of another value. */
  reshapeLike(a: string, like: string): string {
    const [own, wanted] = [this.shape(a), this.shape(like)];
    if (own.length === wanted.length && own.every((dim, i) => dim === wanted[i])) return a;
    // One size that is not known is worked out by Reshape itself.
    const free = wanted.filter((dim) => typeof dim !== 'number').length;
    const target = free === 1 && !wanted.includes(0) ? this.ints(wanted.map((dim) => (typeof dim === 'number' ? dim : -1))) : this.shapeOf(like);
    return this.reshapeBy(a, target, wanted);
  }
  transpose(a: string, perm: readonly number[]): string {
    if (perm.every((axis, i) => axis === i)) return a;
    const shape = this.shape(a);
    return this.emit('Transpose', [a], { perm: { ints: perm } }, { type: this.type(a), shape: perm.map((axis) => shape[axis]!) });
  }
  /** The last two axes swapped. */
  swapped(a: string): string { const n = this.rank(a); return this.transpose(a, Array.from({ length: n }, (_, i) => (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i))); }
  unsqueeze(a: string, axes: readonly number[]): string {
    const made: GraphDim[] = [...this.shape(a)];
    for (const axis of [...axes].sort((x, y) => x - y)) made.splice(axis, 0, 1);
    return this.emit('Unsqueeze', [a, this.ints(axes)], {}, { type: this.type(a), shape: made });
  }
  expandLike(a: string, like: string): string { return this.emit('Expand', [a, this.shapeOf(like)], {}, { type: this.type(a), shape: this.shape(like) }); }
  /** @param sizes int64 vector */
  filled(value: number, type: OnnxType, sizes: string, shape: readonly GraphDim[]): string { return this.emit('ConstantOfShape', [sizes], { value: { tensor: { type, shape: [1], values: [value] } } }, { type, shape }); }
  zerosLike(like: string): string { return this.filled(0, this.type(like), this.shapeOf(like), this.shape(like)); }
  matmul(a: string, b: string): string {
    const [x, y] = [this.shape(a), this.shape(b)];
    if (x.length < 2 || y.length < 2) throw new Error('matmul of the emitter takes matrices');
    const rank = Math.max(x.length, y.length);
    const lead = this.leading(x, y, rank);
    return this.emit('MatMul', [a, b], {}, { type: this.type(a), shape: [...lead, x.at(-2)!, y.at(-1)!] });
  }
  private leading(x: readonly GraphDim[], y: readonly GraphDim[], rank: number): GraphDim[] {
    return Array.from({ length: rank - 2 }, (_, i) => {
      const [p, q] = [x[i - rank + x.length] ?? 1, y[i - rank + y.length] ?? 1];
      return p === q || q === 1 ? p : p === 1 ? q : typeof p === 'number' ? p : typeof q === 'number' ? q : this.unknownDim();
    });
  }
  concat(parts: readonly string[], axis: number): string {
    if (parts.length === 1) return parts[0]!;
    const shapes = parts.map((part) => this.shape(part));
    const total = shapes.every((shape) => typeof shape[axis] === 'number') ? shapes.reduce((sum, shape) => sum + (shape[axis] as number), 0) : this.unknownDim();
    return this.emit('Concat', parts, { axis: { int: axis } }, { type: this.type(parts[0]!), shape: shapes[0]!.map((dim, i) => (i === axis ? total : dim)) });
  }

  /**
   * The gradient of a value that was broadcast: summed over the axes along which it was, in the shape of `like`. Where sizes are
   * known at run time only, so are the axes.
   */
  reduceTo(gradient: string, like: string): string {
    const [own, wanted] = [this.shape(gradient), this.shape(like)];
    const lead = own.length - wanted.length;
    const axes: number[] = Array.from({ length: Math.max(0, lead) }, (_, i) => i);
    let doubtful = lead < 0;
    wanted.forEach((dim, i) => {
      const size = own[i + lead];
      if (dim === size) return;
      if (dim === 1) axes.push(i + lead);
      // A free size beside another one may turn out as 1.
      else if (typeof dim !== 'number') doubtful = true;
    });
    if (!doubtful) {
      if (axes.length === 0) return gradient;
      return this.reshapeLike(axes.length > lead ? this.reduceSum(this.reduceSum(gradient, axes.slice(lead), true), axes.slice(0, lead), false) : this.reduceSum(gradient, axes, false), like);
    }
    const target = lead > 0 ? this.joined([this.ints(Array<number>(lead).fill(1)), this.shapeOf(like)]) : this.shapeOf(like);
    const differs = this.emit('Not', [this.compare('Equal', target, this.shapeOf(gradient))], {}, { type: 'BOOL', shape: [own.length] });
    const found = this.reshape(this.emit('NonZero', [differs], {}, { type: 'I64', shape: [1, this.unknownDim()] }), [-1]);
    const summed = this.emit('ReduceSum', [gradient, found], { keepdims: { int: 1 }, noop_with_empty_axes: { int: 1 } }, { type: this.type(gradient), shape: own.map(() => this.unknownDim()) });
    return this.reshapeBy(summed, this.shapeOf(like), wanted);
  }

  /** The graph with everything emitted and these outputs. Nodes that no output needs are dropped. */
  finish(outputs: readonly string[]): Graph {
    const needed = new Set(outputs);
    const nodes = [...this.nodes].reverse().filter((node) => {
      if (!node.outputs.some((output) => needed.has(output))) return false;
      node.inputs.forEach((input) => needed.add(input));
      return true;
    }).reverse();
    const made = new Set(nodes.flatMap((node) => node.outputs));
    return {
      ...this.graph, nodes,
      inputs: this.inputs.filter(({ name }) => needed.has(name)),
      outputs: outputs.map((name) => this.value(name)),
      initializers: this.initializers.filter(({ name }) => needed.has(name)),
      values: [...this.known.values()].filter(({ name }) => made.has(name) && !outputs.includes(name)),
    };
  }
}
