/** Codes of a quantized weight as ONNX packs them: low bits first, one after the other, streamed. */
import { isBlockScaled, type BlockScaledFormat, type NumberFormat } from '../formats/format';
import { blockLayout, tileLength } from '../formats/blocks';
import { eachTile, type EntryContext, type PackableWeight } from './export-entries';
import { JobError, type QuantizeTask } from './job';
import type { QuantizedWeight } from './quantize';
import type { ResolvedWeight } from './weights';

/** A weight with the format that it is going to have; scales are not known yet. */
export interface PlannedWeight { readonly task: QuantizeTask; readonly weight: ResolvedWeight; readonly format: NumberFormat }
export type PlannedBlocks = PlannedWeight & { readonly format: BlockScaledFormat };

export const hasBlocks = <Weight extends PlannedWeight>(weight: Weight): weight is Weight & { readonly format: BlockScaledFormat } => isBlockScaled(weight.format);

/** Blocks in the order of rows: how long each is, and how many lie in a row (none where one reaches over rows). */
export function blocksOf({ format, weight: { layout } }: PlannedBlocks): { size: number; perRow: number; count: number } {
  if (format.granularity === null) return { size: layout.rows * layout.cols, perRow: 0, count: 1 };
  const { size, count } = blockLayout(layout, format.granularity);
  return { size, count, perRow: format.granularity.kind === 'tensor' ? 0 : count / layout.rows };
}

/** The numbers that codes are multiplied by, one for each block; of plain casts the one they share. */
export const scalesOf = ({ format, scales }: PackableWeight): Float32Array => (format.granularity === null ? Float32Array.of(format.castScale) : scales!.scales);

/** Whole bytes of codes of 2, 4, 8 or 16 bits; what does not fill a byte waits for more. */
export class CodePacker {
  private held = 0;
  private filled = 0;

  /** @param offset added to each code */
  constructor(private readonly bits: number, private readonly offset: number) {}

  push(codes: ArrayLike<number>): Uint8Array {
    const { bits, offset } = this;
    const mask = 2 ** bits - 1;
    const bytes = new Uint8Array(Math.floor((codes.length * bits + this.filled) / 8));
    let at = 0;
    for (let i = 0; i < codes.length; i += 1) {
      const code = (codes[i]! + offset) & mask;
      if (bits === 8) { bytes[at] = code; at += 1; continue; }
      if (bits === 16) { bytes[at] = code & 255; bytes[at + 1] = code >> 8; at += 2; continue; }
      this.held |= code << this.filled;
      this.filled += bits;
      if (this.filled === 8) { bytes[at] = this.held; at += 1; this.held = 0; this.filled = 0; }
    }
    return bytes;
  }

  /** The last byte, filled up with zeros, where one is begun. */
  end(): Uint8Array {
    const rest = this.filled > 0 ? Uint8Array.of(this.held) : new Uint8Array(0);
    this.held = 0;
    this.filled = 0;
    return rest;
  }
}

/** Codes row after row, each row being complete. */
export async function eachRow(weight: PackableWeight, context: EntryContext, take: (codes: ArrayLike<number>) => void): Promise<void> {
  const { layout } = weight.weight;
  const { cols } = layout;
  if (weight.whole || cols <= tileLength(layout, weight.format.granularity)) {
    await eachTile(weight, context, ({ codes, view }) => { for (let row = 0; row < view.rows; row += 1) take(codes.subarray(row * cols, (row + 1) * cols)); });
    return;
  }
  // A row longer than a tile comes in parts.
  let row = new Int32Array(cols);
  let filled = 0;
  await eachTile(weight, context, ({ codes }) => {
    row.set(codes, filled);
    filled += codes.length;
    if (filled < cols) return;
    take(row);
    row = new Int32Array(cols);
    filled = 0;
  });
}

/** Numbers of a weight in the order of its tensor, which must be held at once where that is not the order of its rows. */
export async function inStoredOrder<Numbers extends Float32Array | Int32Array>(weight: QuantizedWeight, context: EntryContext, numbersOf: (codes: Parameters<Parameters<typeof eachTile>[2]>[0]) => ArrayLike<number>, make: (length: number) => Numbers, take: (numbers: ArrayLike<number>) => void): Promise<void> {
  const { layout, weights, tensor } = weight.weight;
  if (layout.contiguous) return eachTile(weight, context, (codes) => { take(numbersOf(codes)); });
  if (weights * 8 > context.memoryCapBytes) throw new JobError(`"${tensor.name}" is a transposed weight of ${weights} values, which needs ${weights * 8} bytes of memory to be written; the limit is ${context.memoryCapBytes}`);
  const stored = make(weights);
  const { cols, channels, outer, inner } = layout;
  await eachTile(weight, context, (codes, start) => {
    const numbers = numbersOf(codes);
    for (let i = 0; i < numbers.length; i += 1) {
      const row = Math.floor((start + i) / cols);
      const col = (start + i) % cols;
      const step = Math.floor(row / channels) * outer + Math.floor(col / inner);
      stored[(step * channels + (row % channels)) * inner + (col % inner)] = numbers[i]!;
    }
  });
  take(stored);
}

/** "a, b and 3 more", with what must not be shown of keys left out. */
export const named = (keys: readonly string[]): string => {
  const shown = [...new Set(keys.map((key) => key.replace(/\0.*/s, '')))];
  return `${shown.slice(0, 5).join(', ')}${shown.length > 5 ? `, and ${shown.length - 5} more` : ''}`;
};
