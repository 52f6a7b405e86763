/** Between a weight as it is stored and its matrix of output channels (see WeightLayout). */
import type { WeightLayout } from '../formats/blocks';

/** Storage order to matrix, row-major. The same array when they agree. */
export function toMatrix(stored: Float32Array, layout: WeightLayout): Float32Array {
  return layout.contiguous ? stored : moved(stored, layout, (out, matrix, storage) => { out[matrix] = stored[storage]!; });
}

/** Matrix to storage order. The same array when they agree. */
export function toStored(matrix: Float32Array, layout: WeightLayout): Float32Array {
  return layout.contiguous ? matrix : moved(matrix, layout, (out, from, storage) => { out[storage] = matrix[from]!; });
}

function moved(values: Float32Array, { groups, channels, outer, inner, cols }: WeightLayout, move: (out: Float32Array, matrix: number, storage: number) => void): Float32Array {
  const out = new Float32Array(values.length);
  for (let group = 0; group < groups; group += 1) {
    for (let step = 0; step < outer; step += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        const storage = ((group * outer + step) * channels + channel) * inner;
        const matrix = (group * channels + channel) * cols + step * inner;
        for (let i = 0; i < inner; i += 1) move(out, matrix + i, storage + i);
      }
    }
  }
  return out;
}
