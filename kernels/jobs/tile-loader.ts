/** Brings tiles of a stored tensor into the kernels' memory, in the order of its matrix view. */
import { DTYPE_BITS, type TensorInfo, type TensorReader } from '../checkpoint';
import type { Tile, WeightLayout } from '../formats/blocks';
import { storedValues } from '../stored/registry';
import type { ValueReader } from '../stored/stored-layout';
import type { KernelOps } from '../wasm/ops';

export class TileLoader {
  private loaded: Tile | null = null;
  private cleared = false;
  /** Set for tensors whose values do not lie element after element. */
  private readonly encoded: ValueReader | null;

  constructor(private readonly reader: TensorReader, readonly ops: KernelOps, private readonly tensor: TensorInfo, private readonly layout: WeightLayout) {
    this.encoded = tensor.encoding ? storedValues(tensor, reader) : null;
  }

  /** Loads a tile unless it is the one that is there. @param finite replace NaN and infinities by zero */
  load(tile: Tile, finite: boolean): void {
    const same = this.loaded !== null && this.loaded.start === tile.start && this.loaded.length === tile.length && (finite || !this.cleared);
    if (!same) {
      if (this.layout.contiguous) this.read(tile.start, tile.length, 0);
      else this.gather(tile);
      this.loaded = tile;
      this.cleared = false;
    }
    if (finite && !this.cleared) {
      this.ops.clearNonFinite(tile.length);
      this.cleared = true;
    }
  }

  private read(first: number, count: number, at: number): void {
    if (this.encoded) {
      this.encoded.read(first, count, this.ops.values.subarray(at, at + count));
      return;
    }
    this.reader.readInto(this.tensor, first, count, this.ops.raw);
    this.ops.decode(this.tensor.dtype, count, at);
  }

  /**
   * Rows that are not contiguous in storage (see WeightLayout): reads, for each step along the outer dimension, the run of
   * channels the tile needs, then spreads it over the rows. Full planes of several steps are read together.
   */
  private gather(tile: Tile): void {
    const { cols, channels, outer, inner } = this.layout;
    const { ops } = this;
    const capacity = Math.min(ops.values.length, Math.floor(ops.raw.length / (DTYPE_BITS[this.tensor.dtype] / 8)));
    const assembled = new Float32Array(tile.length);
    for (let done = 0; done < tile.length;) {
      const row = Math.floor((tile.start + done) / cols);
      const firstCol = (tile.start + done) % cols;
      const group = Math.floor(row / channels);
      const channel = row % channels;
      // A tile is whole rows or a piece of one row.
      const colCount = Math.min(cols - firstCol, tile.length - done);
      const rowCount = colCount === cols ? Math.min(channels - channel, Math.floor((tile.length - done) / cols)) : 1;
      const firstStep = Math.floor(firstCol / inner);
      const lastStep = Math.floor((firstCol + colCount - 1) / inner);
      const plane = channels * inner;
      const run = rowCount * inner;
      const together = run === plane ? Math.max(1, Math.floor(capacity / plane)) : 1;
      for (let step = firstStep; step <= lastStep; step += together) {
        const steps = Math.min(together, lastStep - step + 1);
        const storage = (group * outer + step) * plane + channel * inner;
        // A run longer than the buffer (one step of a very wide layer) is read in parts.
        for (let part = 0; part < steps * run; part += capacity) {
          const count = Math.min(capacity, steps * run - part);
          this.read(storage + part, count, 0);
          for (let i = 0; i < count; i += 1) {
            const index = part + i;
            const s = step + Math.floor(index / run);
            const r = Math.floor((index % run) / inner);
            const col = s * inner + (index % inner);
            if (col < firstCol || col >= firstCol + colCount) continue;
            assembled[done + r * cols + (col - firstCol)] = ops.values[i]!;
          }
        }
      }
      done += rowCount * colCount;
    }
    ops.values.set(assembled);
  }
}
