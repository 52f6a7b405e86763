/** The block types of GGUF files. */
import { elementCount } from '../checkpoint';
import { ggmlType } from '../checkpoint/ggml-types';
import { blockDecoder } from '../numerics/ggml/decoders';
import type { StoredLayout } from './stored-layout';

/** Values decoded at once; bytes of that many blocks are all that is held. */
const AT_ONCE = 2 ** 16;

export const ggmlLayout: StoredLayout = {
  id: 'ggml',

  open(tensor, reader) {
    const id = tensor.encoding?.options?.type;
    const type = typeof id === 'number' ? ggmlType(id) : undefined;
    if (!type || type.dtype) throw new Error(`no block type ${String(id)}`);
    const { block, bytes: each } = type;
    const decode = blockDecoder(type.name);
    const swapped = tensor.data?.byteOrder === 'big' ? type.halves ?? [] : [];
    const total = elementCount(tensor.shape);
    const edge = new Float32Array(block);
    let stored = new Uint8Array(0);

    /** Whole blocks, from number `first` on. */
    const blocks = (first: number, count: number, out: Float32Array, to: number): void => {
      if (stored.length < count * each) stored = new Uint8Array(count * each);
      const bytes = stored.subarray(0, count * each);
      reader.readStored(tensor, first * each, bytes);
      for (const field of swapped) for (let at = field; at < bytes.length; at += each) [bytes[at], bytes[at + 1]] = [bytes[at + 1]!, bytes[at]!];
      decode(bytes, 0, count, out, to);
    };

    return {
      read(first, count, out) {
        if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || first < 0 || count < 0 || first + count > total) throw new RangeError(`elements ${first}..${first + count} are not in a tensor of ${total}`);
        if (out.length < count) throw new RangeError(`${count} values do not fit in ${out.length}`);
        for (let done = 0; done < count;) {
          const at = first + done;
          const skip = at % block;
          const whole = Math.floor(Math.min(count - done, AT_ONCE) / block);
          if (skip > 0 || whole === 0) {
            blocks(Math.floor(at / block), 1, edge, 0);
            const part = edge.subarray(skip, skip + Math.min(block - skip, count - done));
            out.set(part, done);
            done += part.length;
          } else {
            blocks(at / block, whole, out, done);
            done += whole * block;
          }
        }
      },
    };
  },
};
