/** What rounding to nearest makes of a weight, and how loud its error is. */
import type { WeightLayout } from '../formats/blocks';
import type { ScaleRule } from '../formats/format';
import { parseFormat } from '../formats/registry';
import type { Estimate } from './judge';

/** Matrix in, matrix out. @param id of a format that exists */
export function quantized(matrix: Float32Array, layout: WeightLayout, id: string, rule: ScaleRule): Float32Array {
  const format = parseFormat(id);
  return format.decode(format.encode(matrix, layout, rule));
}

/** sum e^2 / sum w^2; 0 for a weight of zeros. */
export function noiseToSignal(weight: Float32Array, other: Float32Array): number {
  let [error, power] = [0, 0];
  for (let i = 0; i < weight.length; i += 1) { error += (weight[i]! - other[i]!) ** 2; power += weight[i]! ** 2; }
  return power > 0 ? error / power : 0;
}

/** An estimate times a number that is known exactly. */
export const times = ({ value, stderr }: Estimate, factor: number): Estimate => ({ value: value * factor, stderr: stderr === null ? null : stderr * Math.abs(factor) });
