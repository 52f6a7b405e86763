/** Layers with inputs that are correlated, as those of real layers are. */
import type { WeightView } from '../../../../kernels/formats/format';
import type { LayerInputs } from '../../../../kernels/methods/method';
import { Random } from '../../../../kernels/numerics/random';

export interface TestLayer { readonly weights: Float32Array; readonly view: WeightView; readonly inputs: LayerInputs }

/** @param correlation 0: independent inputs of equal energy; towards 1: nearly all the same */
export function testLayer(rows: number, cols: number, seed: number, correlation = 0.9, groups = 1): TestLayer {
  const random = new Random(seed);
  const weights = Float32Array.from({ length: rows * cols }, () => random.normal());
  const positions = 4 * cols + 16;
  const make = (): LayerInputs['groups'][number] => {
    const moment = new Float64Array(cols * cols);
    const mean = new Float64Array(cols);
    for (let p = 0; p < positions; p += 1) {
      const common = random.normal() * Math.sqrt(correlation);
      const x = Float64Array.from({ length: cols }, (_, i) => (common + random.normal() * Math.sqrt(1 - correlation)) * (1 + (i % 3)));
      for (let i = 0; i < cols; i += 1) { mean[i]! += x[i]! / positions; for (let j = 0; j < cols; j += 1) moment[i * cols + j]! += (x[i]! * x[j]!) / positions; }
    }
    return { moment, mean };
  };
  return { weights, view: { rows, cols }, inputs: { positions, groups: Array.from({ length: groups }, make) } };
}

/** Inputs that are independent: their moment is a diagonal. */
export function independent({ view: { cols }, inputs }: TestLayer): LayerInputs {
  return { ...inputs, groups: inputs.groups.map(({ moment, mean }) => ({ mean, moment: moment.map((value, i) => (i % (cols + 1) === 0 ? value : 0)) })) };
}

/** trace((W - W') M (W - W')^T) in float64. */
export function outputError({ weights, view: { rows, cols }, inputs }: TestLayer, values: Float32Array): number {
  let sum = 0;
  for (let r = 0; r < rows; r += 1) {
    const { moment } = inputs.groups[Math.floor((r * inputs.groups.length) / rows)]!;
    for (let i = 0; i < cols; i += 1) {
      const e = values[r * cols + i]! - weights[r * cols + i]!;
      for (let j = 0; j < cols; j += 1) sum += e * moment[i * cols + j]! * (values[r * cols + j]! - weights[r * cols + j]!);
    }
  }
  return sum;
}
