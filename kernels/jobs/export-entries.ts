/** The tensors of an exported checkpoint: what each is called, how it is laid out, and its bytes, streamed. */
import { DTYPE_BITS, elementCount, type DType, type SafetensorsEntry, type TensorInfo, type TensorReader } from '../checkpoint';
import { blockLayout, tileLength, tilesOf } from '../formats/blocks';
import { isBlockScaled, type BlockScaledFormat, type BlockScales, type Quantized } from '../formats/format';
import { packColumns, packedWords, packRows } from '../formats/pack';
import { encodeFloats } from '../numerics/codecs';
import { storedValues } from '../stored/registry';
import type { KernelOps } from '../wasm/ops';
import { JobError } from './job';
import type { QuantizedWeight } from './quantize';
import { bandView, heldBands, loadBand } from './held-pass';
import { TileLoader } from './tile-loader';

/** What writing needs while it streams: the reader, this thread's kernels, and a pause in which cancelling is noticed. */
export interface EntryContext {
  readonly reader: TensorReader;
  readonly ops: KernelOps;
  readonly memoryCapBytes: number;
  /** Lets messages in and reports progress. @param bytes read since the last call. @throws JobCancelled */
  pause(bytes: number): Promise<void>;
  throwIfCancelled(): void;
}

const COPY_BYTES = 2 ** 20;

/** A tensor that stays as it is, byte for byte; an encoded one as the values it stands for. */
export function copyEntry(name: string, tensor: TensorInfo, context: EntryContext): SafetensorsEntry {
  if (tensor.encoding) return decodedEntry(name, tensor, context);
  if (!tensor.data) throw new JobError(`the checkpoint declares "${tensor.name}" but holds no values for it, so it cannot be exported`);
  const total = elementCount(tensor.shape);
  const bits = DTYPE_BITS[tensor.dtype];
  // Whole bytes at every cut, also for types below 8 bits.
  const step = Math.max(8, Math.floor((COPY_BYTES * 8) / bits / 8) * 8);
  return {
    name, dtype: tensor.dtype, shape: tensor.shape,
    async write(sink) {
      for (let first = 0; first < total; first += step) {
        const count = Math.min(step, total - first);
        const bytes = new Uint8Array((count * bits) / 8);
        context.reader.readInto(tensor, first, count, bytes);
        sink(bytes);
        await context.pause(bytes.length);
      }
    },
  };
}

/** Other values than the checkpoint's, rounded to the stored dtype. */
export function valuesEntry(name: string, { dtype, shape }: TensorInfo, values: Float32Array, context: EntryContext): SafetensorsEntry {
  return {
    name, dtype, shape,
    async write(sink) {
      const bytes = new Uint8Array((values.length * DTYPE_BITS[dtype]) / 8);
      encodeFloats(dtype, values, values.length, bytes);
      sink(bytes);
      await context.pause(bytes.length);
    },
  };
}

/** The values of an encoded tensor in the dtype that they have in a model. */
function decodedEntry(name: string, tensor: TensorInfo, context: EntryContext): SafetensorsEntry {
  const total = elementCount(tensor.shape);
  const bytesEach = DTYPE_BITS[tensor.dtype] / 8;
  return {
    name, dtype: tensor.dtype, shape: tensor.shape,
    async write(sink) {
      const stored = storedValues(tensor, context.reader);
      const values = new Float32Array(Math.min(total, COPY_BYTES / 4));
      for (let first = 0; first < total; first += values.length) {
        const count = Math.min(values.length, total - first);
        stored.read(first, count, values);
        const bytes = new Uint8Array(count * bytesEach);
        encodeFloats(tensor.dtype, values, count, bytes);
        sink(bytes);
        await context.pause(bytes.length);
      }
    },
  };
}

/** The codes of a weight, run by run in the order of its matrix view; all at once where a method held the whole weight. */
export async function eachTile(quantized: QuantizedWeight, context: EntryContext, take: (codes: Quantized, start: number) => void): Promise<void> {
  const { weight: { tensor, layout }, format, rule, whole } = quantized;
  if (whole) {
    take(whole, 0);
    await context.pause((layout.rows * layout.cols * DTYPE_BITS[tensor.dtype]) / 8);
    return;
  }
  const loader = new TileLoader(context.reader, context.ops, tensor, layout);
  const bytesOf = (length: number): number => (length * DTYPE_BITS[tensor.dtype]) / 8;
  if (!isBlockScaled(format)) {
    for (const band of heldBands(layout, format)) {
      take(format.encode(loadBand(loader, layout, band), bandView(layout, band), rule, context.throwIfCancelled), band.start);
      await context.pause(bytesOf(band.length));
    }
    return;
  }
  const { size } = blockLayout(layout, format.granularity);
  for (const tile of tilesOf(layout, tileLength(layout, format.granularity))) {
    loader.load(tile, true);
    const values = context.ops.values.slice(0, tile.length);
    const tileView = tile.length < layout.cols ? { rows: 1, cols: tile.length } : { rows: tile.length / layout.cols, cols: layout.cols };
    take(format.encodeWith(values, tileView, scalesOfTile(quantized, tile.start, tile.length, size)), tile.start);
    await context.pause(bytesOf(tile.length));
  }
}

/** The scales of the blocks in a tile; of the one block that a tile lies in, where blocks are longer. */
function scalesOfTile({ scales, format }: QuantizedWeight, start: number, length: number, size: number): BlockScales {
  if (format.granularity === null) return { scales: new Float32Array(0), zeroPoints: null };
  const first = Math.floor(start / size);
  const end = Math.max(first + 1, Math.ceil((start + length) / size));
  return { scales: scales!.scales.subarray(first, end), zeroPoints: scales!.zeroPoints?.subarray(first, end) ?? null };
}

/** An ordinary tensor of the stored dtype that holds the dequantized values, rounded to that dtype. */
export function dequantizedEntry(name: string, quantized: QuantizedWeight, context: EntryContext): SafetensorsEntry {
  const { weight: { tensor, layout, weights }, format } = quantized;
  const bytesEach = DTYPE_BITS[tensor.dtype] / 8;
  const encode = (values: Float32Array): Uint8Array => {
    const bytes = new Uint8Array(values.length * bytesEach);
    encodeFloats(tensor.dtype, values, values.length, bytes);
    return bytes;
  };
  return {
    name, dtype: tensor.dtype, shape: tensor.shape,
    async write(sink) {
      if (layout.contiguous) {
        await eachTile(quantized, context, (codes) => { sink(encode(format.decode(codes))); });
        return;
      }
      if (weights * 8 > context.memoryCapBytes) {
        throw new JobError(`"${name}" is a transposed weight of ${weights} values, which needs ${weights * 8} bytes of memory to be written; the limit is ${context.memoryCapBytes}`);
      }
      const stored = new Float32Array(weights);
      const { cols, channels, outer, inner } = layout;
      await eachTile(quantized, context, (codes, start) => {
        format.decode(codes).forEach((value, i) => {
          const row = Math.floor((start + i) / cols);
          const col = (start + i) % cols;
          const step = Math.floor(row / channels) * outer + Math.floor(col / inner);
          stored[(step * channels + (row % channels)) * inner + (col % inner)] = value;
        });
      });
      for (let first = 0; first < weights; first += COPY_BYTES) sink(encode(stored.subarray(first, first + COPY_BYTES)));
    },
  };
}

/** A weight in a format that the packed layout has. */
export type PackableWeight = QuantizedWeight & { readonly format: BlockScaledFormat };

/**
 * Whether compressed-tensors can hold this weight: integers, in a matrix named `weight` with output channels first. Its readers
 * give packed tensors to nn.Linear and nn.Embedding only, and unpack no kernel of a convolution to the values that were packed.
 */
export function canPack(quantized: QuantizedWeight): quantized is PackableWeight {
  const { format, weight: { layout, tensor } } = quantized;
  return isBlockScaled(format) && format.element.kind === 'int' && format.codeBits <= 8 && ['f32', 'f16', 'bf16'].includes(format.scaleStorage) && layout.contiguous && tensor.shape.length === 2 && /(^|\.)weight$/.test(tensor.name);
}

/** The four (five with zero points) tensors that compressed-tensors `pack-quantized` makes of a weight. */
export function packedEntries(name: string, quantized: PackableWeight, context: EntryContext): SafetensorsEntry[] {
  const { weight: { tensor, layout }, format, scales } = quantized;
  const bits = format.codeBits;
  // Asymmetric codes are unsigned already; signed ones are stored with half the range added.
  const offset = format.element.kind === 'int' && format.element.symmetric ? 2 ** (bits - 1) : 0;
  const { count } = blockLayout(layout, format.granularity);
  const perTensor = format.granularity?.kind === 'tensor';
  const scaleShape = perTensor ? [1] : [layout.rows, count / layout.rows];
  const scaleType: DType = format.scaleStorage === 'f32' ? 'F32' : format.scaleStorage === 'f16' ? 'F16' : 'BF16';
  const entries: SafetensorsEntry[] = [
    {
      name: `${name}_packed`, dtype: 'I32', shape: [layout.rows, packedWords(layout.cols, bits)],
      async write(sink) {
        const wide = !quantized.whole && layout.cols > tileLength(layout, format.granularity);
        let row: { codes: Int16Array; filled: number } | null = wide ? { codes: new Int16Array(layout.cols), filled: 0 } : null;
        await eachTile(quantized, context, ({ codes, view }) => {
          if (!row) {
            sink(bytesOf(packRows(codes, view.rows, view.cols, bits, offset)));
            return;
          }
          // A row longer than a tile is packed once it is complete.
          row.codes.set(codes, row.filled);
          row.filled += codes.length;
          if (row.filled === layout.cols) {
            sink(bytesOf(packRows(row.codes, 1, layout.cols, bits, offset)));
            row = { codes: row.codes, filled: 0 };
          }
        });
      },
    },
    {
      name: `${name}_scale`, dtype: scaleType, shape: scaleShape,
      write(sink) {
        const bytes = new Uint8Array((count * DTYPE_BITS[scaleType]) / 8);
        encodeFloats(scaleType, scales!.scales, count, bytes);
        sink(bytes);
      },
    },
    { name: `${name}_shape`, dtype: 'I64', shape: [tensor.shape.length], write: (sink) => { sink(bytesOf(BigInt64Array.from(tensor.shape, BigInt))); } },
  ];
  const zeroPoints = scales!.zeroPoints;
  if (zeroPoints) {
    const [rows, cols] = [layout.rows, count / layout.rows];
    entries.push(perTensor
      // The one zero point of a tensor is not packed, and counts from the middle of the codes.
      ? { name: `${name}_zero_point`, dtype: 'I8', shape: [1], write: (sink) => { sink(Uint8Array.of(zeroPoints[0]! - 2 ** (bits - 1))); } }
      : { name: `${name}_zero_point`, dtype: 'I32', shape: [packedWords(rows, bits), cols], write: (sink) => { sink(bytesOf(packColumns(zeroPoints, rows, cols, bits, 0))); } });
  }
  return entries;
}

/** Bytes of a typed array, little-endian (as every machine that runs Node.js has them). */
function bytesOf(array: Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
