/** The tensors of a checkpoint by name, for recognisers. */
import { CheckpointError, type Checkpoint, type TensorInfo } from '../checkpoint';
import { TensorReader } from '../tensor-reader';

/** Bytes of a small tensor (a shape, a quant_state blob) that recognising may read. */
const MOST_BYTES = 4096;

export class TensorTable {
  private readonly byName = new Map<string, TensorInfo>();
  private readonly byLast = new Map<string, TensorInfo[]>();
  private reader: TensorReader | null = null;

  constructor(private readonly checkpoint: Checkpoint) {
    for (const tensor of checkpoint.tensors) {
      this.byName.set(tensor.name, tensor);
      const last = lastPart(tensor.name);
      const known = this.byLast.get(last);
      if (known) known.push(tensor);
      else this.byLast.set(last, [tensor]);
    }
  }

  get metadata(): Checkpoint['metadata'] {
    return this.checkpoint.metadata;
  }

  /** Takes tensors out: they belong to a weight now. */
  take(names: readonly string[]): void {
    for (const name of names) this.byName.delete(name);
  }

  get(name: string): TensorInfo | null {
    return this.byName.get(name) ?? null;
  }

  /** Tensors whose name after the last dot is `last`, in file order. */
  ending(last: string): readonly TensorInfo[] {
    return (this.byLast.get(last) ?? []).filter(({ name }) => this.byName.has(name));
  }

  /** Tensors whose last part of the name ends like this (`_blocks`), in file order of the parts. */
  endingLike(end: string): readonly TensorInfo[] {
    return [...this.byLast].flatMap(([last, tensors]) => (last.length > end.length && last.endsWith(end) ? tensors : [])).filter(({ name }) => this.byName.has(name));
  }

  /**
   * The contents of a small tensor: shapes and settings that some layouts keep as tensors.
   * @param most bytes from its start; absent: all of it, which must be at most 4096
   * @returns null when it is larger, or cannot be read
   */
  contents(tensor: TensorInfo, most?: number): Uint8Array | null {
    if (tensor.encoding || tensor.quantizer || !tensor.data) return null;
    if (most === undefined && tensor.bytes > MOST_BYTES) return null;
    this.reader ??= TensorReader.open(this.checkpoint);
    const each = Math.max(1, tensor.bytes / Math.max(1, tensor.shape.reduce((product, dim) => product * dim, 1)));
    const count = Math.floor(Math.min(most ?? MOST_BYTES, tensor.bytes) / each);
    const bytes = new Uint8Array(count * each);
    try {
      this.reader.readInto(tensor, 0, count, bytes);
    } catch (error) {
      // The pass that reads values meets it again and says so.
      if (error instanceof CheckpointError || error instanceof RangeError) return null;
      throw error;
    }
    return bytes;
  }

  close(): void {
    this.reader?.close();
    this.reader = null;
  }
}

export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** The name up to and with the last dot; empty at the top. */
export function modulePrefix(name: string): string {
  return name.slice(0, name.lastIndexOf('.') + 1);
}
