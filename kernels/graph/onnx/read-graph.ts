/**
 * The graph of an ONNX file: ModelProto read into a Graph whose initializers name the tensors of the file, opened as a
 * checkpoint. No value of a weight is read. Constants become initializers; graphs of branches and loops stay as they are
 * written, within their nodes.
 */
import { FileSource, sameIdentity } from '../../checkpoint/byte-source';
import { CheckpointError, elementCount, type Checkpoint, type TensorInfo } from '../../checkpoint/checkpoint';
import { DEFAULT_LIMITS } from '../../checkpoint/limits';
import { readTensorProto } from '../../checkpoint/onnx/tensor-proto';
import { LENGTH, WireError, WireReader } from '../../checkpoint/onnx/wire';
import { FETCH_AGAIN, refuse, SAVE_AGAIN, shown } from '../../checkpoint/problems';
import type { Graph, GraphInitializer, GraphNode, GraphValue, SmallTensor } from '../graph';
import type { OnnxType } from '../onnx-types';
import { Functions, readOpset } from './functions';
import { messages, readValue, wholeValue, type ReadValue } from './read-values';
import { ReadBudget, readName, readNode, type ReadNode } from './read-node';
import { smallValues } from './small-values';

const MOST_NODES = 500_000;
/** With functions put in place of their calls. */
const MOST_INLINED = 200_000;
const MOST_VALUES = 2_000_000;
/** Text, attributes and inner graphs of one model. */
const MOST_BYTES = 256 * 2 ** 20;
/** Nodes between two pauses. */
const PAUSE = 2000;
/** Of models that name no version of the default operators: they use none. */
const SOME_OPSET = 17;

/**
 * @param checkpoint the ONNX file, opened by the ordinary reader
 * @throws CheckpointError for a file that is damaged, was replaced meanwhile, or has no graph that could run.
 */
export async function readOnnxGraph(checkpoint: Checkpoint, signal?: AbortSignal): Promise<Graph> {
  const source = new FileSource(checkpoint.path, DEFAULT_LIMITS.readBytes);
  try {
    if (!sameIdentity(source.identity, checkpoint.files[0]!.identity)) refuse(source.path, `${source.path} was replaced while it was being read`, 'Open it again when nothing is writing it');
    return await new GraphReader(new WireReader(source), checkpoint, signal).read();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new CheckpointError({ code: 'BL406', grade: 'malformed', message: `the ONNX model is damaged: ${error.message}`, offset: error.offset, fix: FETCH_AGAIN }, source.path);
  } finally { source.close(); }
}

class GraphReader {
  private readonly budget = new ReadBudget(MOST_BYTES);
  private readonly tensors: ReadonlyMap<string, TensorInfo>;
  private readonly initializers = new Map<string, GraphInitializer>();
  private readonly nodes: ReadNode[] = [];
  private readonly inputs: ReadValue[] = [];
  private readonly outputs: ReadValue[] = [];
  private readonly values: GraphValue[] = [];
  private seen = 0;

  constructor(private readonly wire: WireReader, private readonly checkpoint: Checkpoint, private readonly signal: AbortSignal | undefined) {
    this.tensors = new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor]));
  }

  async read(): Promise<Graph> {
    const { wire, budget } = this;
    let graph: readonly [number, number] | null = null;
    const opsets = new Map<string, number>();
    const functions: string[] = [];
    const calls = new Functions();
    for (let at = 0; wire.next(at, wire.source.size);) {
      const { field, wire: kind, start, end } = wire;
      if (kind === LENGTH && field === 7) graph = [start, end];
      else if (kind === LENGTH && field === 8) { const [domain, version] = readOpset(wire, start, end, budget); opsets.set(domain, Math.max(version, opsets.get(domain) ?? 0)); }
      else if (kind === LENGTH && field === 25) { calls.read(wire, start, end, budget); budget.take(end - start, start); functions.push(Buffer.from(wire.source.read(start, end - start)).toString('base64')); }
      at = end;
    }
    if (!graph) throw new WireError('the model has no graph', wire.source.size);
    const name = await this.graph(...graph);
    const nodes = this.ordered(this.plainNodes(calls.inlined(this.nodes, opsets, MOST_INLINED, budget)));
    // A function that stays may call others; those of none are of no use.
    const kept = nodes.some((node) => calls.has(node)) ? functions : [];
    const [inputs, outputs] = [this.modelInputs(), this.outputs.map((value) => this.modelOutput(value))];
    if (outputs.length === 0) this.unfit('the model gives no output');
    const given = new Set(outputs.map(({ name }) => name));
    const opset = opsets.get('');
    opsets.delete('');
    return {
      name: name === '' ? 'model' : name, opset: opset ?? SOME_OPSET, ...(opsets.size > 0 ? { domains: Object.fromEntries(opsets) } : {}),
      inputs, outputs, nodes, initializers: [...this.initializers.values()], values: this.values.filter(({ name }) => !given.has(name)),
      ...(kept.length > 0 ? { functions: kept } : {}), file: this.checkpoint.path,
    };
  }

  private unfit(message: string, fix = SAVE_AGAIN): never {
    return refuse(this.checkpoint.path, message, fix);
  }

  private async graph(from: number, to: number): Promise<string> {
    const { wire, budget } = this;
    let name = '';
    for (let at = from; wire.next(at, to);) {
      const { field, wire: kind, start, end } = wire;
      if (kind === LENGTH) {
        if (field === 1) {
          if (this.nodes.length >= MOST_NODES) throw new WireError(`the graph has more than ${MOST_NODES} nodes`, at);
          this.nodes.push(readNode(wire, start, end, budget));
        } else if (field === 2) name = readName(wire, start, end, budget);
        else if (field === 5) this.initializer(start, end);
        else if (field === 15) this.sparse(start, end);
        else if (field === 11) this.inputs.push(readValue(wire, start, end, budget));
        else if (field === 12) this.outputs.push(readValue(wire, start, end, budget));
        else if (field === 13) {
          const value = wholeValue(readValue(wire, start, end, budget));
          if (this.values.length >= MOST_VALUES) throw new WireError(`the graph describes more than ${MOST_VALUES} values`, at);
          if (value) this.values.push(value);
        }
      }
      at = end;
      if (++this.seen % PAUSE === 0) {
        await new Promise<void>((resolve) => { setImmediate(resolve); });
        this.signal?.throwIfAborted();
      }
    }
    return name;
  }

  private initializer(start: number, end: number): void {
    const proto = readTensorProto(this.wire, start, end);
    this.add(proto.name, proto.name, smallValues(this.wire, proto));
  }
  /** The name of a sparse tensor is that of its values. */
  private sparse(start: number, end: number): void {
    for (const [field, from, to] of messages(this.wire, start, end)) if (field === 1) { const { name } = readTensorProto(this.wire, from, to); this.add(name, name, null); }
  }

  /** @param tensor name of the tensor in the checkpoint */
  private add(name: string, tensor: string, small: SmallTensor | null): void {
    if (name === '') return;
    if (this.initializers.has(name)) this.unfit(`the graph gives the value ${shown(name)} twice`);
    const info = this.tensors.get(tensor);
    if (!info) this.unfit(`the element type of the tensor ${shown(name)} is not known`);
    if (!info.data && elementCount(info.shape) > 0 && !small) this.unfit(`the model holds no values for the tensor ${shown(name)}, so that it cannot be run`, 'Save the model with its weights');
    if (info.bytes === 0 && info.data === null) this.unfit(`the tensor ${shown(name)} holds texts, which are not run`, 'Take the part of the model that works with numbers');
    // Numbers such as the 2 of x^2 tell what the graph computes; anything larger may be a weight.
    this.initializers.set(name, small && small.type === 'F32' && small.shape.length === 0
      ? { name, type: 'F32', shape: small.shape, data: { values: small.values } }
      : { name, type: typeOf(info), shape: info.shape, data: { checkpoint: tensor } });
  }

  /** Nodes without constants, which become initializers. */
  private plainNodes(nodes: readonly ReadNode[]): GraphNode[] {
    const known = new Set([...this.initializers.keys(), ...this.inputs.map(({ name }) => name), ...nodes.flatMap(({ node }) => node.outputs)]);
    return nodes.flatMap(({ node, inner, tensors }): GraphNode[] => {
      if (node.op === 'Constant' && !node.domain && this.constant(node, tensors.has('value') || (node.attributes?.sparse_value !== undefined && this.tensors.has(node.outputs[0] ?? '')))) return [];
      const captures = [...inner].filter((name) => name !== '' && known.has(name));
      return [captures.length > 0 ? { ...node, captures } : node];
    });
  }

  /** False for a constant that stays a node: texts. */
  private constant(node: GraphNode, isTensor: boolean): boolean {
    const [output = ''] = node.outputs;
    if (isTensor) { this.add(output, output, null); return true; }
    const [[name, value] = ['', { texts: [] }]] = Object.entries(node.attributes ?? {}).filter(([key]) => key.startsWith('value_'));
    const made = (type: OnnxType, shape: number[], values: readonly number[]): true => {
      if (this.initializers.has(output)) this.unfit(`the graph gives the value ${shown(output)} twice`);
      this.initializers.set(output, { name: output, type, shape, data: { values } });
      return true;
    };
    if (name === 'value_float' && 'float' in value) return made('F32', [], [value.float]);
    if (name === 'value_int' && 'int' in value) return made('I64', [], [value.int]);
    if (name === 'value_floats' && 'floats' in value) return made('F32', [value.floats.length], value.floats);
    if (name === 'value_ints' && 'ints' in value) return made('I64', [value.ints.length], value.ints);
    return false;
  }

  /** In an order in which they can run. @throws CheckpointError for a graph that goes in a circle, or reads what nothing gives. */
  private ordered(nodes: readonly GraphNode[]): GraphNode[] {
    const given = new Set([...this.initializers.keys(), ...this.inputs.map(({ name }) => name)]);
    const maker = new Map<string, number>();
    for (const [index, node] of nodes.entries()) {
      for (const output of node.outputs) {
        if (output === '') continue;
        if (maker.has(output) || given.has(output)) this.unfit(`the graph gives the value ${shown(output)} twice`);
        maker.set(output, index);
      }
    }
    const waiting = nodes.map(() => 0);
    const readers = nodes.map((): number[] => []);
    for (const [index, { op, inputs, captures = [] }] of nodes.entries()) {
      for (const name of new Set([...inputs, ...captures])) {
        if (name === '' || given.has(name)) continue;
        const from = maker.get(name);
        if (from === undefined) this.unfit(`a node ${shown(op, 80)} reads the value ${shown(name)}, which nothing in the graph gives`);
        waiting[index]! += 1;
        readers[from]!.push(index);
      }
    }
    if (nodes.every(({ inputs, captures = [] }, index) => [...inputs, ...captures].every((name) => (maker.get(name) ?? -1) < index))) return this.withOutputs(nodes, maker, given);
    const ready = nodes.flatMap((_, index) => (waiting[index] === 0 ? [index] : []));
    const order: GraphNode[] = [];
    for (let next = 0; next < ready.length; next += 1) {
      order.push(nodes[ready[next]!]!);
      for (const reader of readers[ready[next]!]!) { waiting[reader]! -= 1; if (waiting[reader] === 0) ready.push(reader); }
    }
    if (order.length < nodes.length) { const stuck = nodes[waiting.findIndex((count) => count > 0)]!; this.unfit(`the graph goes in a circle: the node ${shown(stuck.op, 80)} that gives ${shown(stuck.outputs[0] ?? '')} needs its own output`); }
    return this.withOutputs(order, maker, given);
  }

  private withOutputs(nodes: readonly GraphNode[], maker: ReadonlyMap<string, number>, given: ReadonlySet<string>): GraphNode[] {
    for (const { name } of this.outputs) if (!maker.has(name) && !given.has(name)) this.unfit(`nothing in the graph gives its output ${shown(name)}`);
    return [...nodes];
  }

  /** Inputs that the user gives: those with a value of their own are weights (files before IR version 4 list them too). */
  private modelInputs(): GraphValue[] {
    return this.inputs.flatMap((value): GraphValue[] => {
      if (this.initializers.has(value.name)) return [];
      const { name, type, shape } = value;
      if (type === null) this.unfit(`the input ${shown(name)} is no tensor of numbers, so that the model cannot be run on data`, 'Take the part of the model that works with tensors');
      if (shape === null) this.unfit(`the input ${shown(name)} does not say how many dimensions it has`, 'Save the model with the shapes of its inputs; sizes may stay free');
      return [{ name, type, shape }];
    });
  }

  /** Type and shape of an output may be left to what the runtime finds out; until then it is taken for a value of real numbers. */
  private modelOutput({ name, type, shape }: ReadValue): GraphValue {
    return { name, type: type ?? 'F32', shape: shape ?? [], ...(shape === null ? { ranked: false } : {}) };
  }
}

/** The type of a tensor as ONNX has it: integers below a byte are listed by the type that holds their values. */
function typeOf(info: TensorInfo): OnnxType {
  const { bits, kind } = info.encoding?.layout === 'packed-bits' ? info.encoding.options ?? {} : {};
  if (bits === undefined) return info.dtype;
  if (kind === 'e2m1') return 'F4';
  return `${kind === 'signed' ? 'I' : 'U'}${String(bits)}` as OnnxType;
}
