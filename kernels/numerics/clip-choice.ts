/** The scale of least weighted error among several, for integers: plain reference of wasm/assembly/clip.ts. */

/** Values between two looks at whether the error is already too large. */
const STRETCH = 32;

/** Scales that are tried on a block, largest first, and zero points that go with them. */
export interface ClipTrials { readonly scales: Float64Array; readonly zeros: Float64Array }
/** Codes that there are. */
export interface Codes { readonly low: number; readonly high: number }
/** A run of values with the weight of each one's squared error. */
export interface WeightedRun { readonly values: Float32Array | Float64Array; readonly at: number; readonly length: number; readonly weights: Float64Array; readonly weightsAt: number }

/** @returns index of the first with the least sum of w (x - q)^2, q in float32. Value i adds to lane i mod 2. */
export function clipChoice({ values, at, length, weights, weightsAt }: WeightedRun, { scales, zeros }: ClipTrials, { low, high }: Codes): number {
  let [best, least] = [0, Infinity];
  for (let c = 0; c < scales.length; c += 1) {
    const [scale, zero] = [scales[c]!, zeros[c]!];
    let [even, odd] = [0, 0];
    for (let from = 0; from < length && even + odd < least; from += STRETCH) {
      const to = Math.min(length, from + STRETCH);
      for (let i = from; i < to; i += 1) {
        const x = values[at + i]!;
        let code = Math.round(x / scale) + zero;
        code = code < low ? low : code > high ? high : code;
        const e = x - Math.fround((code - zero) * scale);
        const term = weights[weightsAt + i]! * e * e;
        if (i % 2 === 0) even += term; else odd += term;
      }
    }
    const sum = even + odd;
    if (sum < least) { least = sum; best = c; }
  }
  return best;
}
