/**
 * ModelProto, walked without recursion: the tensors of all graphs (main, training, functions, branches and loop bodies) with
 * the names they have there, and the nodes that say how weights are used.
 */
import { breathe, type ReaderContext } from '../reader';
import { readPair, readTensorProto, type TensorProto } from './tensor-proto';
import { LENGTH, MOST_MESSAGES_DEEP, signed, VARINT, WireError, type WireReader } from './wire';

/** A name of a value in its graph; an inner graph sees the names of the outer ones. */
export interface Scope {
  /** Names of the nodes and attributes that lead here; '' for the main graph. */
  readonly path: string;
  readonly parent: Scope | null;
  readonly values: Map<string, FoundTensor>;
  readonly nodes: NodeRecord[];
}

export interface FoundTensor {
  /** Name of the value in its graph. */
  readonly name: string;
  readonly scope: Scope;
  readonly tensor: TensorProto;
  /** Of a sparse tensor: its indices, its shape. `tensor` holds the values. */
  readonly sparse?: { readonly indices: TensorProto | null; readonly dims: readonly (number | bigint)[] };
}

/** A node that tells how a tensor is used or what its numbers mean. */
export interface NodeRecord {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Attributes that are whole numbers. */
  readonly ints: ReadonlyMap<string, number>;
  readonly perm: readonly number[] | null;
  readonly at: number;
}

export interface OnnxModel {
  readonly tensors: readonly FoundTensor[];
  readonly scopes: readonly Scope[];
  readonly metadata: readonly (readonly [string, string])[];
  /** More nodes were left out than are looked at. */
  readonly incomplete: boolean;
}

/** Operators whose inputs are weights, or that stand between a weight and such an operator. */
const TELLING: ReadonlySet<string> = new Set([
  'MatMul', 'Gemm', 'FusedGemm', 'FusedMatMul', 'Conv', 'FusedConv', 'ConvTranspose', 'Gather', 'LSTM', 'GRU', 'RNN', 'Transpose', 'Identity', 'Cast', 'DequantizeLinear', 'QLinearConv', 'QLinearMatMul', 'QGemm',
  'MatMulInteger', 'MatMulIntegerToFloat', 'ConvInteger', 'DynamicQuantizeMatMul', 'MatMulNBits', 'MatMulBnb4', 'GatherBlockQuantized',
]);
const LONGEST = 65_536;
const PAUSE = 2000;
const MOST_NODES = 1_000_000;
const MOST_FUNCTIONS = 10_000;
const MOST_GRAPHS = 100_000;
/** Attributes and inputs of one node that are kept. */
const MOST_INPUTS = 64;

interface Work { readonly at: number; readonly end: number; readonly scope: Scope; readonly depth: number; readonly kind: 'graph' | 'function' }

export class ModelWalker {
  private readonly tensors: FoundTensor[] = [];
  private readonly scopes: Scope[] = [];
  private readonly metadata: (readonly [string, string])[] = [];
  private readonly work: Work[] = [];
  private nodes = 0;
  private functions = 0;
  private graphs = 0;
  private seen = 0;

  constructor(private readonly wire: WireReader, private readonly context: ReaderContext) {}

  /** @throws WireError for bytes that are no model */
  async walk(): Promise<OnnxModel> {
    const { size } = this.wire.source;
    const opsets: string[] = [];
    let graphs = 0;
    for (let position = 0; this.wire.next(position, size);) {
      const { field, wire: kind, start, end } = this.wire;
      if (field === 1 && kind === VARINT) this.note('ir_version', String(this.wire.value));
      else if (field === 5 && kind === VARINT) this.note('model_version', String(signed(this.wire.value)));
      else if (kind === LENGTH) {
        const plain = new Map([[2, 'producer_name'], [3, 'producer_version'], [4, 'domain']]).get(field);
        if (plain) this.note(plain, this.wire.text(start, end, 1024));
        else if (field === 7) {
          if (graphs++ > 0) throw new WireError('the model has two graphs', position);
          this.work.push({ at: start, end, scope: this.scope('', null), depth: 2, kind: 'graph' });
        } else if (field === 8) opsets.push(this.opset(start, end));
        else if (field === 14) this.note(...readPair(this.wire, start, end));
        else if (field === 20) this.training(start, end);
        else if (field === 25) this.function(start, end, position);
      }
      position = end;
    }
    if (graphs === 0) throw new WireError('the model has no graph', size);
    this.note('opset', opsets.slice(0, 32).join(', '));
    // The main graph first, the others in the order in which they were found.
    for (let next = 0; next < this.work.length; next++) await this.visit(this.work[next]);
    return { tensors: this.tensors, scopes: this.scopes, metadata: this.metadata, incomplete: this.nodes > MOST_NODES };
  }

  private note(key: string, value: string): void {
    if (this.metadata.length < this.context.limits.metadataEntries && value !== '') this.metadata.push([key, value]);
  }

  private scope(path: string, parent: Scope | null): Scope {
    const scope: Scope = { path, parent, values: new Map(), nodes: [] };
    this.scopes.push(scope);
    return scope;
  }

  private opset(at: number, end: number): string {
    let [domain, version] = ['ai.onnx', '?'];
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = this.wire;
      if (field === 2 && kind === VARINT) version = String(this.wire.value);
      if (field === 1 && kind === LENGTH && after > start) domain = this.wire.text(start, after, 200);
      position = after;
    }
    return `${domain} ${version}`;
  }

  private training(at: number, end: number): void {
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = this.wire;
      if ((field === 1 || field === 2) && kind === LENGTH) this.work.push({ at: start, end: after, scope: this.scope(field === 1 ? 'initialization' : 'algorithm', null), depth: 3, kind: 'graph' });
      position = after;
    }
  }

  private function(at: number, end: number, where: number): void {
    if (++this.functions > MOST_FUNCTIONS) throw new WireError(`the model has more than ${MOST_FUNCTIONS} functions`, where);
    let [name, domain] = ['', ''];
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = this.wire;
      if (field === 1 && kind === LENGTH) name = this.wire.text(start, after, 1024);
      if (field === 10 && kind === LENGTH) domain = this.wire.text(start, after, 1024);
      position = after;
    }
    this.work.push({ at, end, scope: this.scope(domain === '' ? name : `${domain}::${name}`, null), depth: 2, kind: 'function' });
  }

  private async visit({ at, end, scope, depth, kind }: Work): Promise<void> {
    if (depth > MOST_MESSAGES_DEEP) throw new WireError(`messages are nested more than ${MOST_MESSAGES_DEEP} deep`, at);
    const nodeField = kind === 'graph' ? 1 : 7;
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: type, start, end: after } = this.wire;
      if (type === LENGTH && field === nodeField) this.node(start, after, scope, depth + 1);
      else if (type === LENGTH && kind === 'graph') {
        if (field === 5) {
          const tensor = readTensorProto(this.wire, start, after);
          this.add({ name: tensor.name, scope, tensor });
        } else if (field === 15) this.sparse(start, after, scope, null);
        else if (field === 2 && scope.path === '' && scope.parent === null) this.note('graph', this.wire.text(start, after, 1024));
      }
      position = after;
      if (++this.seen % PAUSE === 0) await breathe(this.context);
    }
  }

  private add(found: FoundTensor): void {
    if (this.tensors.length >= this.context.limits.tensors) throw new WireError(`the model has more than ${this.context.limits.tensors} tensors`, found.tensor.at);
    this.tensors.push(found);
    found.scope.values.set(found.name, found);
  }

  /** SparseTensorProto: values 1, indices 2, dims 3. The name stands in the values. */
  private sparse(at: number, end: number, scope: Scope, name: string | null): void {
    let values: TensorProto | null = null;
    let indices: TensorProto | null = null;
    const dims: (number | bigint)[] = [];
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: type, start, end: after } = this.wire;
      if (field === 1 && type === LENGTH) values = readTensorProto(this.wire, start, after);
      else if (field === 2 && type === LENGTH) indices = readTensorProto(this.wire, start, after);
      else if (field === 3 && type === VARINT) dims.push(signed(this.wire.value));
      else if (field === 3 && type === LENGTH) for (let each = start; each < after; each = this.wire.end) dims.push(signed(this.wire.varint(each, after)));
      if (dims.length > 1024) throw new WireError('a sparse tensor has more than 1024 dimensions', position);
      position = after;
    }
    if (!values) throw new WireError('a sparse tensor has no values', at);
    this.add({ name: name ?? values.name, scope, tensor: values, sparse: { indices, dims } });
  }

  private node(at: number, end: number, scope: Scope, depth: number): void {
    const inputs: string[] = [];
    let [output, name, op] = ['', '', ''];
    let outputs = 0;
    const attributes: [start: number, end: number][] = [];
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = this.wire;
      if (kind === LENGTH) {
        if (field === 1 && inputs.length < MOST_INPUTS) inputs.push(this.wire.text(start, after, LONGEST));
        else if (field === 2 && outputs++ === 0) output = this.wire.text(start, after, LONGEST);
        else if (field === 3) name = this.wire.text(start, after, 4096);
        else if (field === 4) op = this.wire.text(start, after, 200);
        else if (field === 5) attributes.push([start, after]);
      }
      position = after;
    }
    const ints = new Map<string, number>();
    let perm: number[] | null = null;
    const telling = TELLING.has(op);
    for (const [start, after] of attributes) {
      const found = this.attribute(start, after, { scope, op, output, node: name === '' ? op : name, depth: depth + 1, telling });
      if (found.int !== null && ints.size < MOST_INPUTS) ints.set(found.name, found.int);
      if (found.ints && found.name === 'perm') perm = found.ints;
    }
    if (telling && ++this.nodes <= MOST_NODES) scope.nodes.push({ op, inputs, output, ints, perm, at });
  }

  /** AttributeProto: name 1, i 3, t 5, g 6, ints 8, tensors 10, graphs 11, sparse_tensor 22, sparse_tensors 23. */
  private attribute(at: number, end: number, of: { scope: Scope; op: string; output: string; node: string; depth: number; telling: boolean }): { name: string; int: number | null; ints: number[] | null } {
    let name = '';
    let int: number | null = null;
    const ints: number[] = [];
    const tensors: [number, number][] = [];
    const sparse: [number, number][] = [];
    const graphs: [number, number][] = [];
    for (let position = at; this.wire.next(position, end);) {
      const { field, wire: kind, start, end: after } = this.wire;
      if (field === 1 && kind === LENGTH) name = this.wire.text(start, after, 1024);
      else if (field === 3 && kind === VARINT) { const value = signed(this.wire.value); int = typeof value === 'number' ? value : null; }
      else if (field === 8 && of.telling && ints.length < MOST_INPUTS) {
        if (kind === VARINT) ints.push(Number(signed(this.wire.value)));
        else if (kind === LENGTH) for (let each = start; each < after && ints.length < MOST_INPUTS; each = this.wire.end) ints.push(Number(signed(this.wire.varint(each, after))));
      } else if ((field === 5 || field === 10) && kind === LENGTH) tensors.push([start, after]);
      else if ((field === 22 || field === 23) && kind === LENGTH) sparse.push([start, after]);
      else if ((field === 6 || field === 11) && kind === LENGTH) graphs.push([start, after]);
      position = after;
    }
    const many = tensors.length + sparse.length > 1;
    const valueName = (index: number): string => {
      // A Constant's value is known by the name of its output; any other tensor in an attribute by the node's.
      const base = of.op === 'Constant' ? of.output : `${of.node}.${name}`;
      return many ? `${base}[${index}]` : base;
    };
    tensors.forEach(([start, after], index) => { this.add({ name: valueName(index), scope: of.scope, tensor: readTensorProto(this.wire, start, after) }); });
    sparse.forEach(([start, after], index) => { this.sparse(start, after, of.scope, valueName(tensors.length + index)); });
    for (const [start, after] of graphs) {
      const path = `${of.scope.path === '' ? '' : `${of.scope.path}/`}${of.node}.${name}${graphs.length > 1 ? `[${this.graphs}]` : ''}`;
      if (path.length > LONGEST) throw new WireError(`names of nested graphs are longer than ${LONGEST} characters`, start);
      if (++this.graphs > MOST_GRAPHS) throw new WireError(`the model has more than ${MOST_GRAPHS} inner graphs`, start);
      this.work.push({ at: start, end: after, scope: this.scope(path, of.scope), depth: of.depth + 1, kind: 'graph' });
    }
    return { name, int, ints: ints.length > 0 ? ints : null };
  }
}
