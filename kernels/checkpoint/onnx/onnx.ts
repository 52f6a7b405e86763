import type { ByteSource } from '../byte-source';
import { checkedProduct } from '../checked';
import type { Checkpoint, CheckpointFile, TensorInfo, TensorLocation } from '../checkpoint';
import { counted, FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from '../problems';
import type { CheckpointReader, ReaderContext } from '../reader';
import { ExternalFiles } from './external';
import { ModelWalker, type FoundTensor } from './model';
import { ELEMENT_TYPES, STRING_TYPE, type ElementType, type TensorProto } from './tensor-proto';
import { outputAxes, quantizedWeights } from './weights';
import { LENGTH, VARINT, WireError, WireReader } from './wire';

/**
 * ONNX models (https://onnx.ai): initializers, constants, sparse tensors, in the main graph, in branches and loop bodies, in
 * functions and training graphs; inline or in files beside the model. Nodes are read for what they say about weights.
 */
export const onnxReader: CheckpointReader = {
  name: 'onnx',
  match: looksLikeModel,
  open: openOnnx,
};

/** Fields of ModelProto, with their wire types. */
const MODEL_FIELDS: ReadonlyMap<number, number> = new Map([[1, VARINT], [2, LENGTH], [3, LENGTH], [4, LENGTH], [5, VARINT], [6, LENGTH], [7, LENGTH], [8, LENGTH], [14, LENGTH], [20, LENGTH], [25, LENGTH], [26, LENGTH]]);

/** There is no mark: the fields of a model must be found at the start, and among them a version or a graph. */
function looksLikeModel(head: Uint8Array, source: ByteSource): boolean {
  const wire = new WireReader(source);
  const seen = new Set<number>();
  try {
    for (let at = 0; seen.size < 3; at = wire.end) {
      if (!wire.next(at, source.size)) break;
      if (MODEL_FIELDS.get(wire.field) !== wire.wire || (seen.has(wire.field) && ![8, 14, 25, 26].includes(wire.field))) return false;
      if (wire.field === 1 && (typeof wire.value !== 'number' || wire.value < 1 || wire.value > 1000)) return false;
      seen.add(wire.field);
    }
  } catch (error) {
    // A cut or damaged model is known by what came before.
    if (error instanceof WireError) return head[0] === 0x08 && seen.has(1) && seen.size > 1;
    throw error;
  }
  return seen.has(7) ? seen.size > 1 : seen.has(1) && seen.size > 1;
}

async function openOnnx(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const problems = new ProblemList(context.limits.problems);
  let model;
  try {
    model = await new ModelWalker(new WireReader(source), context).walk();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return refuse(source.path, `the ONNX model is damaged: ${error.message}`, FETCH_AGAIN, { offset: error.offset });
  }
  const files: CheckpointFile[] = [{ path: source.path, identity: source.identity }];
  const placer = new Placer(source, context, problems, new ExternalFiles(source.path, files, context.limits.shards, problems));
  const placed = new Map<FoundTensor, TensorInfo>();
  for (const found of model.tensors) {
    const info = placer.place(found);
    if (info) placed.set(found, info);
  }
  if (model.incomplete) problems.add('questionable', 'the model has more nodes than are looked at; some quantized weights may be shown as integers', 'Nothing needs to be done');
  if (source.size > 2 ** 31 - 1) problems.add('questionable', 'the file is larger than the 2 GiB that protobuf allows, so most programs cannot load it', 'Save the model with external data', { offset: 2 ** 31 - 1 });
  const axes = outputAxes(model);
  for (const [found, info] of placed) {
    const axis = axes.get(found);
    if (axis !== undefined && axis > 0 && axis < info.shape.length) placed.set(found, { ...info, outputAxis: axis });
  }
  const derived = quantizedWeights(model, placed, problems);
  return {
    format: 'onnx', path: source.path, files, tensors: [...placed.values()], problems: problems.list(), imports: [], metadata: model.metadata,
    ...(derived.length > 0 ? { derived } : {}),
  };
}

/** Turns the tensors of a model into those of a checkpoint: checks shapes and sizes, names them uniquely. */
class Placer {
  private readonly names = new Set<string>();
  /** How often a name came again. */
  private readonly again = new Map<string, number>();

  constructor(private readonly source: ByteSource, private readonly context: ReaderContext, private readonly problems: ProblemList, private readonly external: ExternalFiles) {}

  /** @returns null for a tensor that is left out, with a finding. */
  place(found: FoundTensor): TensorInfo | null {
    const { tensor } = found;
    const name = this.nameFor(found);
    if (!found.sparse) return this.dense(name, tensor);
    const values = this.dense(`${name}.values`, tensor);
    const shape = this.shape(name, found.sparse.dims, tensor);
    const indices = found.sparse.indices ? this.dense(`${name}.indices`, found.sparse.indices) : null;
    if (!values) return null;
    const entries = values.shape.length === 1 ? values.shape[0] : -1;
    const flat = indices?.shape.length === 1 && indices.shape[0] === entries;
    const rows = indices?.shape.length === 2 && indices.shape[0] === entries && indices.shape[1] === shape.length;
    const bytes = values.bytes + (indices?.bytes ?? 0);
    if (!indices || indices.dtype !== 'I64' || !(flat || rows) || !values.data || !indices.data) {
      this.problems.add('questionable', `the sparse tensor ${shown(name)} does not have one index for each value; its values are not read`, SAVE_AGAIN, { offset: tensor.at, tensor: name });
      return { name, dtype: values.dtype, shape, bytes, data: null };
    }
    return { name, dtype: values.dtype, shape, bytes, data: values.data, encoding: { layout: 'onnx-sparse', name: `${values.dtype} sparse`, parts: { values, indices } } };
  }

  /** Names of values are unique within a graph; those of inner graphs get the path of their graph where another has the name. */
  private nameFor({ name, scope, tensor }: FoundTensor): string {
    let chosen = name === '' ? `unnamed at byte ${tensor.at}` : name;
    if (this.names.has(chosen) && scope.path !== '') chosen = `${scope.path}/${chosen}`;
    else if (this.names.has(chosen)) this.problems.add('questionable', `the graph has two tensors named ${shown(chosen)}; programs take the later one`, SAVE_AGAIN, { offset: tensor.at, tensor: chosen });
    const plain = chosen;
    while (this.names.has(chosen)) {
      const count = (this.again.get(plain) ?? 1) + 1;
      this.again.set(plain, count);
      chosen = `${plain} (${count})`;
    }
    this.names.add(chosen);
    return chosen;
  }

  private shape(name: string, dims: readonly (number | bigint)[], tensor: TensorProto): number[] {
    if (dims.some((dim) => dim < 0 || dim > Number.MAX_SAFE_INTEGER)) {
      refuse(this.source.path, `the shape [${dims.slice(0, 16).join(', ')}] of ${shown(name)} is impossible`, SAVE_AGAIN, { offset: tensor.at, tensor: name });
    }
    return dims.map(Number);
  }

  private dense(name: string, tensor: TensorProto): TensorInfo | null {
    const where = { offset: tensor.at, tensor: name };
    const label = shown(name);
    const shape = this.shape(name, tensor.dims, tensor);
    const count = checkedProduct(shape, Number.MAX_SAFE_INTEGER / 16);
    if (count === null) return refuse(this.source.path, `the shape [${shape.slice(0, 16).join(', ')}] of ${label} is too large`, SAVE_AGAIN, where);
    if (tensor.type === STRING_TYPE) {
      this.problems.add('information', `${label} holds texts, which are not shown`, 'Nothing needs to be done', where);
      return { name, dtype: 'U8', shape: [...shape, 0], bytes: 0, data: null };
    }
    const type = ELEMENT_TYPES.get(tensor.type);
    if (!type) {
      this.problems.add('questionable', `the tensor ${label} is left out: its element type ${tensor.type} is not known`, 'Update Bitlens if ONNX has a new element type, or save the tensor in another one', where);
      return null;
    }
    const bytes = Math.ceil(count * type.bits / 8);
    const info = this.typed(name, type, shape, count, bytes);
    const data = count === 0 ? { file: 0, offset: 0, byteOrder: 'little' as const } : this.values(tensor, type, name, bytes);
    if (shape.length > this.context.limits.dims) {
      this.problems.add('questionable', `${label} has ${shape.length} dimensions; with more than ${this.context.limits.dims} its values are not read`, 'Reshape the tensor before saving', where);
      return { ...info, data: null };
    }
    return { ...info, data };
  }

  /** Integers below a byte, and four-bit floats that end in the middle of one, are packed from the low bits on. */
  private typed(name: string, type: ElementType, shape: number[], count: number, bytes: number): Omit<TensorInfo, 'data'> {
    if (type.bits >= 8) return { name, dtype: type.dtype, shape, bytes };
    if (type.dtype === 'F4' && count % 2 === 0) return { name, dtype: 'F4', shape, bytes };
    const float = type.dtype === 'F4';
    return { name, dtype: float ? 'F32' : type.dtype, shape, bytes, encoding: { layout: 'packed-bits', name: type.name, options: { bits: type.bits, kind: float ? 'e2m1' : type.dtype === 'I8' ? 'signed' : 'unsigned' } } };
  }

  private values(tensor: TensorProto, type: ElementType, name: string, bytes: number): TensorLocation | null {
    const { path } = this.source;
    const where = { offset: tensor.at, tensor: name };
    const label = shown(name);
    const fields = [...tensor.typed.keys()];
    const places = fields.length + (tensor.raw ? 1 : 0) + (tensor.outside ? 1 : 0);
    if (places > 1) return refuse(path, `${label} has its values in ${places} places (${[...(tensor.raw ? ['raw_data'] : []), ...fields.map((field) => `field ${field}`), ...(tensor.outside ? ['external data'] : [])].join(', ')})`, SAVE_AGAIN, where);
    if (tensor.segment) {
      this.problems.add('questionable', `${label} is one segment of a tensor, which no program writes; its values are not read`, SAVE_AGAIN, where);
      return null;
    }
    if (tensor.outside) return { ...this.external.place(tensor, name, bytes), byteOrder: 'little' };
    if (tensor.external.length > 0) this.problems.add('questionable', `${label} names external data but is marked as inline`, SAVE_AGAIN, where);
    if (tensor.raw) {
      if (tensor.raw.length !== bytes) refuse(path, `${label} has ${counted(tensor.raw.length, 'byte')} of raw data, but its shape needs ${bytes}`, SAVE_AGAIN, where);
      return { file: 0, offset: tensor.raw.start, byteOrder: 'little' };
    }
    if (fields.length === 0) {
      this.problems.add('questionable', `the model holds no values for ${label}`, 'Save the model with its weights', where);
      return null;
    }
    const [field] = fields;
    if (field !== type.field) return refuse(path, `${label} has its values in field ${field}, but ${type.name} belongs into field ${type.field}`, SAVE_AGAIN, where);
    const range = tensor.typed.get(field) ?? null;
    // float_data and double_data in one run are the values themselves.
    if (range && (field === 4 || field === 10)) {
      if (range.length !== bytes) refuse(path, `${label} has ${counted(range.length, 'byte')} of values, but its shape needs ${bytes}`, SAVE_AGAIN, where);
      return { file: 0, offset: range.start, byteOrder: 'little' };
    }
    const width = field === 4 ? 4 : field === 10 ? 8 : Math.max(1, type.bits / 8);
    // Each number takes a byte of the message at least.
    if (bytes / width > tensor.end - tensor.at) refuse(path, `${label} needs ${counted(bytes / width, 'number')}, more than there is room for`, FETCH_AGAIN, where);
    return { file: 0, offset: 0, byteOrder: 'little', packed: { method: 'protobuf', start: tensor.at, length: tensor.end - tensor.at, size: bytes, field, width } };
  }
}
