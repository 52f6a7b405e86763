/** The types of GGUF files: blocks, and plain elements where a model has them under another name or in another order. */
import { elementCount, type TensorInfo, type TensorReader } from '../checkpoint';
import { ggmlType, type GgmlType } from '../checkpoint/ggml-types';
import { decodeFloats } from '../numerics/codecs';
import { blockDecoder } from '../numerics/ggml/decoders';
import { lessen, transposed, unpermutedRows } from './ggml-views';
import type { StoredLayout, ValueReader } from './stored-layout';

/** Values decoded at once; bytes of that many blocks are all that is held. */
const AT_ONCE = 2 ** 16;
/** Columns of a transposed matrix that are decoded at once, at least. */
const PANEL = 64;

export const ggmlLayout: StoredLayout = {
  id: 'ggml',

  open(tensor, reader) {
    const { type: id, heads, plus, transposed: isTransposed } = tensor.encoding?.options ?? {};
    const type = typeof id === 'number' ? ggmlType(id) : undefined;
    if (!type) throw new Error(`no type ${String(id)} of ggml`);
    const stored = type.dtype ? elements(tensor, type, reader) : blocks(tensor, type, reader);
    const cols = elementCount(tensor.shape.slice(1));
    if (typeof heads === 'number') return unpermutedRows(stored, tensor.shape[0]!, cols, heads);
    if (typeof plus === 'number') return lessen(stored, plus);
    if (isTransposed === true) return transposed(stored, tensor.shape[1]!, tensor.shape[0]!, Math.max(type.block, PANEL));
    return stored;
  },
};

function checkRange(first: number, count: number, total: number, out: Float32Array): void {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || first < 0 || count < 0 || first + count > total) throw new RangeError(`elements ${first}..${first + count} are not in a tensor of ${total}`);
  if (out.length < count) throw new RangeError(`${count} values do not fit in ${out.length}`);
}

function elements(tensor: TensorInfo, type: GgmlType, reader: TensorReader): ValueReader {
  const total = elementCount(tensor.shape);
  const plain: TensorInfo = { name: tensor.name, dtype: type.dtype!, shape: [total], bytes: tensor.bytes, data: tensor.data };
  let bytes = new Uint8Array(0);
  return {
    read(first, count, out) {
      checkRange(first, count, total, out);
      for (let done = 0; done < count; done += AT_ONCE) {
        const length = Math.min(AT_ONCE, count - done);
        if (bytes.length < length * type.bytes) bytes = new Uint8Array(length * type.bytes);
        reader.readInto(plain, first + done, length, bytes);
        decodeFloats(type.dtype!, bytes, length, out.subarray(done));
      }
    },
  };
}

function blocks(tensor: TensorInfo, type: GgmlType, reader: TensorReader): ValueReader {
  const { block, bytes: each } = type;
  const decode = blockDecoder(type.name);
  const swapped = tensor.data?.byteOrder === 'big' ? type.halves ?? [] : [];
  const total = elementCount(tensor.shape);
  const edge = new Float32Array(block);
  let stored = new Uint8Array(0);

  /** Whole blocks, from number `first` on. */
  const load = (first: number, count: number, out: Float32Array, to: number): void => {
    if (stored.length < count * each) stored = new Uint8Array(count * each);
    const bytes = stored.subarray(0, count * each);
    reader.readStored(tensor, first * each, bytes);
    for (const field of swapped) for (let at = field; at < bytes.length; at += each) [bytes[at], bytes[at + 1]] = [bytes[at + 1]!, bytes[at]!];
    decode(bytes, 0, count, out, to);
  };

  return {
    read(first, count, out) {
      checkRange(first, count, total, out);
      for (let done = 0; done < count;) {
        const at = first + done;
        const skip = at % block;
        const whole = Math.floor(Math.min(count - done, AT_ONCE) / block);
        if (skip > 0 || whole === 0) {
          load(Math.floor(at / block), 1, edge, 0);
          const part = edge.subarray(skip, skip + Math.min(block - skip, count - done));
          out.set(part, done);
          done += part.length;
        } else {
          load(at / block, whole, out, done);
          done += whole * block;
        }
      }
    },
  };
}
