import { closeSync, fstatSync, statSync } from 'node:fs';
import { identityOf, openRegularFile, readFully, refuseShort, sameIdentity } from './byte-source';
import { checkedBytes } from './checked';
import { DTYPE_BITS, elementCount, type Checkpoint, type PackedRange, type TensorInfo, type TensorLocation } from './checkpoint';
import { DEFAULT_LIMITS } from './limits';
import { ChunkReader } from './chunk-reader';
import { PackedReader } from './packed-stream';
import { refuse, shown } from './problems';
import { gather } from './strided-read';

/** Files kept open at once; more shards than this take turns. */
const MOST_OPEN = 32;
/** Memory of the unpacked streams that are kept to go on from; the one in use is always kept. */
const MOST_UNPACKED = 32 * 2 ** 20;

/**
 * Reads tensor values by position. Synchronous, for use in workers: each system call asks for at most 8 MiB and nothing
 * but the target grows with the tensor.
 */
export class TensorReader {
  /** File index -> descriptor, least recently used first. */
  private readonly open = new Map<number, number>();
  /** Compressed parts that were read from, least recently used first. */
  private readonly packed = new Map<string, PackedReader | ChunkReader>();
  private closed = false;

  private constructor(private readonly checkpoint: Checkpoint, private readonly piece: number) {}

  /** @param piece bytes of one read, at most; tests set it low. */
  static open(checkpoint: Checkpoint, piece: number = DEFAULT_LIMITS.readBytes): TensorReader {
    return new TensorReader(checkpoint, piece);
  }

  /**
   * Elements [first, first + count) of a tensor in logical row-major order, little-endian, into the start of `target`.
   * Types below 8 bits are read by whole bytes: first and count must fall on byte borders.
   *
   * @throws CheckpointError when the file holds no bytes for the tensor, is shorter than it was, or was replaced.
   * @throws RangeError when the range is not in the tensor or the target is too small.
   */
  readInto(tensor: TensorInfo, firstElement: number, count: number, target: Uint8Array): void {
    const total = elementCount(tensor.shape);
    if (!Number.isSafeInteger(firstElement) || !Number.isSafeInteger(count) || firstElement < 0 || count < 0 || firstElement + count > total) {
      throw new RangeError(`elements ${firstElement}..${firstElement + count} are not in ${shown(tensor.name)}, which has ${total}`);
    }
    if (tensor.encoding) throw new Error(`${shown(tensor.name)} is stored as ${tensor.encoding.name}; its values are read through kernels/stored`);
    const bits = DTYPE_BITS[tensor.dtype];
    const skip = checkedBytes(firstElement, bits);
    const length = checkedBytes(count, bits);
    if (skip === null || length === null) throw new RangeError(`elements ${firstElement}..${firstElement + count} of ${tensor.dtype} do not fall on byte borders`);
    if (target.length < length) throw new RangeError(`${length} bytes are needed for ${count} elements of ${tensor.dtype}, but the target holds ${target.length}`);
    if (length === 0) return;
    const { data } = tensor;
    if (!data) return this.refuseEmpty(tensor);
    const into = target.subarray(0, length);
    const read = (piece: Uint8Array, offset: number): void => { this.readAt(data, piece, offset); };
    if (data.strides) gather(tensor.shape, data.strides, bits / 8, data.offset, firstElement, count, into, read, this.piece);
    else read(into, data.offset + skip);
    if (data.byteOrder === 'big') swap(into, tensor.dtype === 'C64' || tensor.dtype === 'C128' ? bits / 16 : Math.max(1, bits / 8));
  }

  /**
   * Bytes [offset, offset + target.length) of what is stored for a tensor, as they lie in the file. For stored layouts, whose
   * blocks this reader does not know.
   *
   * @throws CheckpointError as {@link readInto} does.
   * @throws RangeError when the range is not within the tensor's bytes.
   */
  readStored(tensor: TensorInfo, offset: number, target: Uint8Array): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + target.length > tensor.bytes) {
      throw new RangeError(`bytes ${offset}..${offset + target.length} are not in ${shown(tensor.name)}, which has ${tensor.bytes}`);
    }
    if (target.length === 0) return;
    if (!tensor.data) return this.refuseEmpty(tensor);
    this.readAt(tensor.data, target, tensor.data.offset + offset);
  }

  /**
   * Checks that every file is still the one that was opened.
   * @throws CheckpointError naming the file that changed or vanished.
   */
  assertUnchanged(): void {
    for (const file of this.checkpoint.files) {
      let now;
      try {
        now = identityOf(statSync(file.path));
      } catch {
        return refuse(file.path, `${file.path} was removed while it was read`, 'Restore the file, or open another checkpoint');
      }
      if (!sameIdentity(now, file.identity)) changed(file.path);
    }
    for (const [index, descriptor] of this.open) {
      if (!sameIdentity(identityOf(fstatSync(descriptor)), this.checkpoint.files[index].identity)) changed(this.checkpoint.files[index].path);
    }
  }

  close(): void {
    this.closed = true;
    for (const descriptor of this.open.values()) closeSync(descriptor);
    this.open.clear();
    this.packed.clear();
  }

  private readAt({ file, packed }: TensorLocation, into: Uint8Array, offset: number): void {
    if (packed) this.unpacked(file, packed).readInto(into, offset);
    else this.readBytes(file, into, offset);
  }

  private unpacked(file: number, range: PackedRange): PackedReader | ChunkReader {
    const key = `${file}:${range.method === 'chunks' ? range.table.slice(0, 3).join() : range.start}`;
    const { path } = this.checkpoint.files[file];
    const read = (into: Uint8Array, offset: number): void => { this.readBytes(file, into, offset); };
    const reader = this.packed.get(key) ?? (range.method === 'chunks' ? new ChunkReader(path, range, read) : new PackedReader(path, range, read));
    this.packed.delete(key);
    this.packed.set(key, reader);
    let held = 0;
    for (const other of this.packed.values()) held += other.held;
    for (const [oldest, other] of this.packed) {
      if (held <= MOST_UNPACKED || other === reader) break;
      held -= other.held;
      this.packed.delete(oldest);
    }
    return reader;
  }

  private refuseEmpty(tensor: TensorInfo): never {
    return refuse(this.checkpoint.path, `the file holds no readable values for ${shown(tensor.name)}`, 'Save the tensor as an ordinary dense tensor', { tensor: tensor.name });
  }

  private readBytes(file: number, into: Uint8Array, offset: number): void {
    if (!readFully(this.descriptor(file), into, offset, this.piece)) refuseShort(this.checkpoint.files[file].path, offset, into.length);
  }

  private descriptor(file: number): number {
    if (this.closed) throw new Error('the reader is closed');
    const known = this.open.get(file);
    if (known !== undefined) {
      // Moved to the end: the map keeps order of use.
      this.open.delete(file);
      this.open.set(file, known);
      return known;
    }
    if (this.open.size >= MOST_OPEN) {
      const [oldest, descriptor] = this.open.entries().next().value!;
      closeSync(descriptor);
      this.open.delete(oldest);
    }
    const { path, identity } = this.checkpoint.files[file];
    const opened = openRegularFile(path);
    if (!sameIdentity(opened.identity, identity)) {
      closeSync(opened.descriptor);
      changed(path);
    }
    this.open.set(file, opened.descriptor);
    return opened.descriptor;
  }
}

function changed(path: string): never {
  return refuse(path, `${path} changed while it was being read`, 'Start again when nothing is writing it');
}

/** Reverses each group of `width` bytes in place. */
function swap(bytes: Uint8Array, width: number): void {
  for (let at = 0; width > 1 && at + width <= bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}
