/** From a graph that names checkpoint tensors to a model whose initializers can be written: the bytes stay in the checkpoint until then. */
import { DTYPE_BITS, elementCount, FLOAT_DTYPES, type Checkpoint, type TensorInfo, type TensorReader } from '../checkpoint';
import { decodeFloats, encodeFloats } from '../numerics/codecs';
import { storedValues } from '../stored/registry';
import type { Graph, GraphInitializer } from './graph';
import { onnxTypeBits } from './onnx-types';
import { smallTensorBytes } from './small-tensor';
import type { OnnxInitializer, OnnxModel } from './write-onnx';

/** Elements read at a time. */
const CHUNK = 1 << 20;

/**
 * @param reader must stay open until the initializers have been written.
 * @throws Error naming the tensor that the checkpoint does not have, or has in another size or type than the graph says.
 */
export function resolveGraph(graph: Graph, checkpoint: Checkpoint | null, reader: TensorReader | null): OnnxModel {
  const stored = new Map((checkpoint?.tensors ?? []).map((tensor) => [tensor.name, tensor]));
  const byName = new Map([...stored, ...(checkpoint?.derived ?? []).map((tensor) => [tensor.name, tensor] as const)]);
  return { ...graph, initializers: graph.initializers.map((initializer) => resolveInitializer(initializer, isStored(initializer, stored) ? stored : byName, reader)) };
}

/** Codes and the weight that they are decoded to may have one name: the graph's type says which is meant. */
function isStored({ type, shape, data }: GraphInitializer, stored: ReadonlyMap<string, TensorInfo>): boolean {
  const tensor = 'checkpoint' in data ? stored.get(data.checkpoint) : undefined;
  return tensor !== undefined && (tensor.dtype === type || tensor.encoding?.layout === 'packed-bits') && !FLOAT_DTYPES.has(type as TensorInfo['dtype']) && elementCount(tensor.shape) === elementCount(shape);
}

function resolveInitializer(initializer: GraphInitializer, byName: ReadonlyMap<string, TensorInfo>, reader: TensorReader | null): OnnxInitializer {
  const { name, type, shape, data } = initializer;
  if ('values' in data) return { name, type, shape, write: (sink) => sink(smallTensorBytes(type, data.values)) };
  const tensor = byName.get(data.checkpoint);
  if (!tensor || !reader) throw new Error(`the checkpoint has no tensor ${JSON.stringify(data.checkpoint)}`);
  const count = elementCount(shape);
  if (elementCount(tensor.shape) !== count) throw new Error(`${JSON.stringify(data.checkpoint)} has shape [${tensor.shape.join(', ')}], and the graph needs [${shape.join(', ')}]`);
  const write = valueWriter(tensor, type, count, reader);
  if (!write) throw new Error(`${JSON.stringify(data.checkpoint)} is of type ${tensor.dtype}, and the graph needs ${type}`);
  return { name, type, shape, write };
}

/** Writes the values as `type`; null where one type is not converted into the other. */
function valueWriter(tensor: TensorInfo, type: GraphInitializer['type'], count: number, reader: TensorReader): OnnxInitializer['write'] | null {
  if (onnxTypeBits(type) < 8 && (tensor.encoding?.layout === 'packed-bits' || tensor.dtype === type)) {
    // Codes below a byte, as ONNX packs them: the bytes as they are.
    const packed: TensorInfo = { name: tensor.name, dtype: 'U8', shape: [Math.ceil((count * onnxTypeBits(type)) / 8)], bytes: tensor.bytes, data: tensor.data };
    return valueWriter(packed, 'U8', packed.shape[0]!, reader);
  }
  if (!tensor.encoding && tensor.dtype === type) {
    const width = DTYPE_BITS[tensor.dtype] / 8;
    return (sink) => {
      const bytes = new Uint8Array(Math.min(CHUNK, count) * width);
      for (let at = 0; at < count; at += CHUNK) {
        const many = Math.min(CHUNK, count - at);
        reader.readInto(tensor, at, many, bytes);
        sink(bytes.slice(0, many * width));
      }
    };
  }
  if (!FLOAT_DTYPES.has(tensor.dtype) || !FLOAT_DTYPES.has(type as TensorInfo['dtype'])) return null;
  const target = type as TensorInfo['dtype'];
  return (sink) => {
    const values = new Float32Array(Math.min(CHUNK, count));
    const stored = tensor.encoding ? storedValues(tensor, reader) : null;
    const raw = stored ? null : new Uint8Array((values.length * DTYPE_BITS[tensor.dtype]) / 8);
    const out = new Uint8Array((values.length * DTYPE_BITS[target]) / 8);
    for (let at = 0; at < count; at += CHUNK) {
      const many = Math.min(CHUNK, count - at);
      if (stored) stored.read(at, many, values);
      else { reader.readInto(tensor, at, many, raw!); decodeFloats(tensor.dtype, raw!, many, values); }
      encodeFloats(target, values, many, out);
      sink(out.slice(0, (many * DTYPE_BITS[target]) / 8));
    }
  };
}
