/**
 * Format sweep: one weight in every format there is, on a sample of its rows held in memory, through each format's own encode and
 * decode; and how many bits its exponents carry (what lossless compression of the stored type could reach).
 */
import { DTYPE_BITS, type TensorInfo } from '../checkpoint';
import { tileLength, tilesOf, type WeightLayout } from '../formats/blocks';
import { paretoSet } from '../formats/pareto';
import { parseFormat } from '../formats/registry';
import { MINIFLOAT_DTYPES } from '../numerics/codecs';
import type { FormatSweep } from './job';
import type { TileLoader } from './tile-loader';

/** Weights of the sample: enough for an error of a few per cent, and a few seconds for all formats. */
const MOST_WEIGHTS = 2 ** 15;

/** Evenly spaced whole rows of at most MOST_WEIGHTS weights, at least one; of a row that is longer, its beginning. */
export function sampleRows(loader: TileLoader, layout: WeightLayout): { values: Float32Array; rows: number; cols: number } {
  const cols = Math.min(layout.cols, MOST_WEIGHTS);
  const rows = Math.max(1, Math.min(layout.rows, Math.floor(MOST_WEIGHTS / layout.cols)));
  const values = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i += 1) {
    const start = Math.floor((i * layout.rows) / rows) * layout.cols;
    for (const tile of tilesOf({ rows: 1, cols }, tileLength({ rows: 1, cols }, null))) {
      loader.load({ start: start + tile.start, length: tile.length }, true);
      values.set(loader.ops.values.subarray(0, tile.length), i * cols + tile.start);
    }
  }
  return { values, rows, cols };
}

/**
 * Entropy of the exponents in bits (NeuZip): what is left of the exponent bits after entropy coding, sign and mantissa as they are.
 * Zeros and subnormals count as one exponent.
 */
export function exponentEntropy(values: Float32Array): number {
  const counts = new Float64Array(256);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i += 1) counts[(bits[i]! >>> 23) & 255]! += 1;
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / values.length) * Math.log2(count / values.length)), 0);
}

/** Exponent bits of a stored type; null for types without any. */
function exponentBits(tensor: TensorInfo): number | null {
  if (tensor.encoding) return null;
  if (tensor.dtype === 'F32') return 8;
  if (tensor.dtype === 'F64') return 11;
  return MINIFLOAT_DTYPES[tensor.dtype]?.exponentBits ?? null;
}

/** @throws what `poll` throws when the work is cancelled. */
export function sweepFormats(loader: TileLoader, tensor: TensorInfo, layout: WeightLayout, ids: readonly string[], poll: () => void): FormatSweep {
  const { values, rows, cols } = sampleRows(loader, layout);
  const signal = values.reduce((sum, x) => sum + x * x, 0);
  const entries: { id: string; bitsPerWeight: number; mse: number; sqnrDb: number | null }[] = [];
  const skipped: { id: string; reason: string }[] = [];
  for (const id of ids) {
    poll();
    const format = parseFormat(id);
    const view = { rows, cols };
    try {
      const decoded = format.decode(format.encode(values, view, 'absmax', poll));
      let squared = 0;
      for (let i = 0; i < values.length; i += 1) squared += (values[i]! - decoded[i]!) ** 2;
      entries.push({
        id: format.id, bitsPerWeight: format.storage(layout).bitsPerWeight, mse: squared / values.length,
        sqnrDb: squared > 0 && signal > 0 ? 10 * Math.log10(signal / squared) : null,
      });
    } catch (error) {
      // A format may not fit a shape (rows of whole blocks only); cancelling is no such thing.
      if (!(error instanceof RangeError)) throw error;
      skipped.push({ id: format.id, reason: error.message });
    }
  }
  const best = new Set(paretoSet(entries));
  const exponent = exponentBits(tensor);
  const entropyBits = exponentEntropy(values);
  return {
    rows, cols, ofRows: layout.rows, ofCols: layout.cols, skipped,
    formats: entries.map((entry, i) => ({ ...entry, best: best.has(i) })),
    lossless: exponent === null ? null : { entropyBits, storedBits: DTYPE_BITS[tensor.dtype], compressedBits: DTYPE_BITS[tensor.dtype] - exponent + Math.min(exponent, entropyBits) },
  };
}
