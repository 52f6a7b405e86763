/** 8-bit codes with scales: see kernels/checkpoint/layouts/scaled.ts. Value = (code - zero point) x scale, in float32. */
import { optionalPart, numberOption, Part, partOf } from './parts';
import { rowPanels } from './row-panels';
import type { StoredLayout } from './stored-layout';

const fround = Math.fround;

export const scaledLayout: StoredLayout = {
  id: 'scaled',
  open(tensor, reader) {
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const zeroTensor = optionalPart(tensor, 'zeros');
    const zeros = zeroTensor && new Part(reader, zeroTensor);
    const options = tensor.encoding!.options!;
    const [rowsPerBatch, scaleRowsPerBatch, rowBlock, colBlock, scaleCols] = (['rowsPerBatch', 'scaleRowsPerBatch', 'rowBlock', 'colBlock', 'scaleCols'] as const).map((name) => numberOption(tensor, name)) as [number, number, number, number, number];
    const factor = typeof options.factor === 'number' ? options.factor : null;
    // Kernels of convolutions are rows of all their inputs.
    const cols = tensor.shape.length > 3 ? tensor.shape.slice(1).reduce((product, dim) => product * dim, 1) : tensor.shape.at(-1)!;
    const rows = tensor.shape.length > 3 ? tensor.shape[0]! : tensor.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    const scaleRow = (row: number): number => (options.shared ? 0 : Math.floor(row / rowsPerBatch) * scaleRowsPerBatch) + Math.floor((row % rowsPerBatch) / rowBlock);

    return rowPanels(rows, cols, (first, count, out) => {
      const wanted = Int32Array.from({ length: count }, (_, i) => scaleRow(first + i));
      const [from, to] = [Math.min(wanted[0]!, options.shared ? 0 : Infinity), options.shared ? scaleRowsPerBatch : wanted[count - 1]! + 1];
      const scale = options.powers ? powersOfTwo(scales, from * scaleCols, (to - from) * scaleCols) : scales.floats(from * scaleCols, (to - from) * scaleCols);
      const zero = zeros?.floats(from * scaleCols, (to - from) * scaleCols);
      codes.floats(first * cols, count * cols, out);
      for (let row = 0; row < count; row += 1) {
        const base = (wanted[row]! - from) * scaleCols;
        for (let block = 0; block < scaleCols; block += 1) {
          const s = scale[base + block]!;
          const z = zero ? zero[base + block]! : 0;
          const end = row * cols + Math.min(cols, (block + 1) * colBlock);
          for (let at = row * cols + block * colBlock; at < end; at += 1) {
            const value = fround(fround(out[at]! - z) * s);
            out[at] = factor === null ? value : value * factor;
          }
        }
      }
    });
  },
};

/** E8M0 scales: 2^(code - 127); 255 is NaN (OCP MX v1.0). */
export function powersOfTwo(part: Part, first: number, count: number): Float32Array {
  const bytes = part.bytes(first, count);
  return Float32Array.from({ length: count }, (_, i) => (bytes[i] === 255 ? NaN : 2 ** (bytes[i]! - 127)));
}
