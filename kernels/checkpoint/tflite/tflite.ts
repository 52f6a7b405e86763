import { checkedProduct } from '../checked';
import { elementCount, type DType, type TensorInfo } from '../checkpoint';
import { counted, FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from '../problems';
import { breathe, type CheckpointReader, type ReaderContext } from '../reader';
import { Flatbuffer, FlatbufferError, type Table, type Vector } from './flatbuffer';

/**
 * TensorFlow Lite models (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs):
 * the tensors that have values in the file, quantized ones with their scales and zero points.
 */
export const tfliteReader: CheckpointReader = {
  name: 'tflite',
  match: (head) => head.length >= 8 && head[4] === 0x54 && head[5] === 0x46 && head[6] === 0x4c && head[7] === 0x33,
  async open(source, context) {
    const problems = new ProblemList(context.limits.problems);
    try {
      const model = new Model(new Flatbuffer(source), context, problems);
      const tensors = await model.tensors();
      return { format: 'tflite', path: source.path, files: [{ path: source.path, identity: source.identity }], tensors, problems: problems.list(), imports: [], metadata: model.metadata() };
    } catch (error) {
      if (!(error instanceof FlatbufferError)) throw error;
      return refuse(source.path, `the TensorFlow Lite model is damaged: ${error.message}`, FETCH_AGAIN, { offset: error.offset });
    }
  },
};

interface ElementType { readonly dtype: DType | null; readonly bits: number; readonly name: string }
const element = (name: string, dtype: DType | null, bits: number): ElementType => ({ name, dtype, bits });

/** TensorType by number. */
const TYPES: readonly ElementType[] = [
  element('FLOAT32', 'F32', 32), element('FLOAT16', 'F16', 16), element('INT32', 'I32', 32), element('UINT8', 'U8', 8), element('INT64', 'I64', 64), element('STRING', null, 8), element('BOOL', 'BOOL', 8),
  element('INT16', 'I16', 16), element('COMPLEX64', 'C64', 64), element('INT8', 'I8', 8), element('FLOAT64', 'F64', 64), element('COMPLEX128', 'C128', 128), element('UINT64', 'U64', 64), element('RESOURCE', null, 8),
  element('VARIANT', null, 8), element('UINT32', 'U32', 32), element('UINT16', 'U16', 16), element('INT4', 'I8', 4), element('BFLOAT16', 'BF16', 16), element('INT2', 'I8', 2), element('UINT4', 'U8', 4),
];
const QUANTIZED: ReadonlySet<string> = new Set(['UINT8', 'INT8', 'INT16', 'INT32', 'INT4', 'INT2', 'UINT4']);

const MOST_GRAPHS = 10_000;
const LONGEST_NAME = 65_536;
const DEPTHWISE = 4;

class Model {
  private readonly root: Table;
  private readonly buffers: Vector;
  private readonly found: TensorInfo[] = [];
  private readonly names = new Set<string>();
  /** How often a name came again. */
  private readonly again = new Map<string, number>();
  private letters: number;
  private empty = 0;

  constructor(private readonly file: Flatbuffer, private readonly context: ReaderContext, private readonly problems: ProblemList) {
    this.root = file.table(0);
    this.buffers = this.root.vector(4, 4) ?? { start: 0, count: 0 };
    // Names may be shared by many tensors: together they are not much longer than the file.
    this.letters = 16 * 2 ** 20 + 4 * file.source.size;
  }

  metadata(): [string, string][] {
    const description = this.root.text(3, 1000);
    return [['version', String(this.root.u32(0))], ...(description === '' ? [] : [['description', description] as [string, string]]), ['tensors without values', String(this.empty)]];
  }

  async tensors(): Promise<TensorInfo[]> {
    const graphs = this.root.vector(2, 4);
    if (!graphs) return [];
    if (graphs.count > MOST_GRAPHS) throw new FlatbufferError(`the model has ${graphs.count} graphs, more than ${MOST_GRAPHS}`, graphs.start);
    for (let g = 0; g < graphs.count; g++) {
      const graph = this.file.table(graphs.start + 4 * g);
      const tensors = graph.vector(0, 4);
      if (!tensors) continue;
      const depthwise = this.depthwise(graph);
      const name = graph.text(4, 1024);
      const prefix = name === '' ? `graph ${g}` : name;
      for (let i = 0; i < tensors.count; i++) {
        if (i % 2000 === 1999) await breathe(this.context);
        this.tensor(tensors.start + 4 * i, g === 0 ? '' : prefix, depthwise.has(i));
      }
    }
    return this.found;
  }

  /** Weights of depthwise convolutions count their output channels last; all others first. */
  private depthwise(graph: Table): Set<number> {
    const codes = this.root.vector(1, 4);
    const operators = graph.vector(3, 4);
    const weights = new Set<number>();
    if (!codes || !operators) return weights;
    const isDepthwise = new Map<number, boolean>();
    for (let i = 0; i < operators.count; i++) {
      const operator = this.file.table(operators.start + 4 * i);
      const index = operator.u32(0);
      if (index >= codes.count) continue;
      let known = isDepthwise.get(index);
      if (known === undefined) {
        const code = this.file.table(codes.start + 4 * index);
        known = Math.max(code.u8(0), code.i32(3)) === DEPTHWISE;
        isDepthwise.set(index, known);
      }
      const inputs = known ? operator.vector(1, 4) : null;
      if (inputs && inputs.count > 1) weights.add(this.file.i32(inputs.start + 4));
    }
    return weights;
  }

  private tensor(at: number, prefix: string, depthwise: boolean): void {
    const { source } = this.file;
    const table = this.file.table(at);
    const data = this.data(table.u32(2), table.start);
    if (!data) {
      this.empty++;
      return;
    }
    if (this.found.length >= this.context.limits.tensors) throw new FlatbufferError(`the model has more than ${this.context.limits.tensors} tensors`, at);
    const name = this.nameFor(table.text(3, LONGEST_NAME), prefix, at);
    const where = { offset: table.start, tensor: name };
    const label = shown(name);
    const shape = this.shape(table, label, where);
    const type = TYPES[table.u8(1)];
    if (!type) {
      this.problems.add('questionable', `the tensor ${label} is left out: its element type ${table.u8(1)} is not known`, 'Update Bitlens if the format has a new element type', where);
      return;
    }
    if (type.dtype === null) {
      this.problems.add('information', `the values of ${label} (${type.name}) are not shown`, 'Nothing needs to be done', where);
      this.found.push({ name, dtype: 'U8', shape: [...shape, 0], bytes: 0, data: null });
      return;
    }
    const count = checkedProduct(shape, Number.MAX_SAFE_INTEGER / 16);
    if (count === null) return refuse(source.path, `the shape [${shape.join(', ')}] of ${label} is too large`, SAVE_AGAIN, where);
    const bytes = Math.ceil(count * type.bits / 8);
    const packed = type.bits < 8 ? { encoding: { layout: 'packed-bits', name: type.name, options: { bits: type.bits, kind: type.dtype === 'I8' ? 'signed' : 'unsigned' } } } : {};
    const codes: TensorInfo = { name, dtype: type.dtype, shape, bytes, data: { file: 0, offset: data.start, byteOrder: 'little' }, ...packed };
    if (table.table(6)) {
      this.problems.add('questionable', `the values of ${label} cannot be read: it is sparse`, 'Convert the model without sparsity to have it analysed', where);
      this.found.push({ ...codes, data: null });
      return;
    }
    if (data.count !== bytes) refuse(source.path, `${label} has ${counted(data.count, 'byte')} of values, but its shape [${shape.join(', ')}] needs ${bytes}`, FETCH_AGAIN, where);
    const axis = depthwise && shape.length === 4 ? { outputAxis: 3 } : {};
    this.found.push({ ...this.quantized(codes, type, table.table(4), where), ...axis });
  }

  /** The bytes of a buffer; null for none. Large files keep them behind the flatbuffer. */
  private data(index: number, at: number): Vector | null {
    if (index === 0) return null;
    if (index >= this.buffers.count) throw new FlatbufferError(`a tensor has its values in buffer ${index} of ${this.buffers.count}`, at);
    const buffer = this.file.table(this.buffers.start + 4 * index);
    const inside = buffer.vector(0, 1);
    if (inside && inside.count > 0) return inside;
    const [start, count] = [buffer.u64(1), buffer.u64(2)];
    if (start <= 1 || count === 0) return null;
    if (start + count > this.file.source.size) throw new FlatbufferError(`a buffer of ${count} bytes at byte ${start} runs over the end of the file at ${this.file.source.size}`, buffer.start);
    return { start, count };
  }

  private shape(table: Table, label: string, where: { offset: number; tensor: string }): number[] {
    const dims = table.vector(0, 4);
    if (!dims) return [];
    if (dims.count > this.context.limits.dims) refuse(this.file.source.path, `${label} has ${dims.count} dimensions, more than ${this.context.limits.dims}`, SAVE_AGAIN, where);
    return Array.from({ length: dims.count }, (_, i) => {
      const dim = this.file.i32(dims.start + 4 * i);
      if (dim < 0) refuse(this.file.source.path, `the shape of ${label} has the dimension ${dim}`, SAVE_AGAIN, where);
      return dim;
    });
  }

  private nameFor(name: string, prefix: string, at: number): string {
    const plain = name === '' ? `unnamed at byte ${at}` : name;
    let chosen = plain;
    if (this.names.has(chosen) && prefix !== '') chosen = `${prefix}/${plain}`;
    while (this.names.has(chosen)) {
      const count = (this.again.get(plain) ?? 1) + 1;
      this.again.set(plain, count);
      chosen = `${plain} (${count})`;
    }
    this.letters -= chosen.length;
    if (this.letters < 0) throw new FlatbufferError('the names of tensors are longer than the file warrants', at);
    this.names.add(chosen);
    return chosen;
  }

  /** (code - zero point) x scale, for the tensor or for each index of a dimension. */
  private quantized(codes: TensorInfo, type: ElementType, parameters: Table | null, where: { offset: number; tensor: string }): TensorInfo {
    const scales = parameters?.vector(2, 4);
    if (!parameters || !scales || scales.count === 0 || !QUANTIZED.has(type.name)) return codes;
    const { name, shape } = codes;
    const zeros = parameters.vector(3, 8);
    const axis = parameters.i32(6);
    const unfit = (why: string): TensorInfo => {
      this.problems.add('questionable', `${shown(name)} is quantized, but ${why}; it is shown as it is stored`, SAVE_AGAIN, where);
      return codes;
    };
    if (parameters.u8(4) !== 0) return unfit('in a way of its own that is not read');
    if (scales.count > 1 && !(axis >= 0 && axis < shape.length && shape[axis] === scales.count)) return unfit(`it has ${scales.count} scales for dimension ${axis} of [${shape.join(', ')}]`);
    if (zeros && zeros.count > 0 && zeros.count !== scales.count) return unfit(`it has ${zeros.count} zero points for ${scales.count} scales`);
    const part = (role: string, dtype: DType, { start, count }: Vector, width: number): TensorInfo => ({ name: `${name}.${role}`, dtype, shape: [count], bytes: count * width, data: { file: 0, offset: start, byteOrder: 'little' } });
    const parts = { codes, scales: part('scales', 'F32', scales, 4), ...(zeros && zeros.count > 0 ? { zeros: part('zero points', 'I64', zeros, 8) } : {}) };
    if (elementCount(shape) === 0) return codes;
    return {
      name, dtype: 'F32', shape, data: codes.data, bytes: Object.values(parts).reduce((sum, each) => sum + each.bytes, 0),
      encoding: { layout: 'affine', name: `${type.name.toLowerCase()} ${scales.count === 1 ? 'tensor' : 'channel'} (TFLite)`, parts, options: { axis: scales.count === 1 ? -1 : axis, block: 0 } },
    };
  }
}

