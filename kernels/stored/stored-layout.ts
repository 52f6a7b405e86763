/** StoredLayout: how the bytes of an encoded tensor become values. One layout per file, all in registry.ts. */
import type { TensorInfo, TensorReader } from '../checkpoint';

/** Values of one tensor, decoded piece by piece. Not shared between threads. */
export interface ValueReader {
  /**
   * Elements [first, first + count) in logical row-major order, as float32, into the start of `out`. Any range within the
   * tensor may be asked for; memory use does not grow with the tensor.
   *
   * @throws CheckpointError when the file cannot be read or a stored value makes no sense (a group index out of range).
   */
  read(first: number, count: number, out: Float32Array): void;
}

export interface StoredLayout {
  /** What TensorEncoding.layout says. */
  readonly id: string;
  /** @throws CheckpointError when the parts do not fit together in a way the header could not show. */
  open(tensor: TensorInfo, reader: TensorReader): ValueReader;
}
