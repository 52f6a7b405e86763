// The scale of least weighted error among several, for integers. Plain reference, operation by operation: ../../numerics/clip-choice.ts.
// Values and weights are float64; element i adds to lane i mod 2.

/** Values between two looks at whether the error is already too large; even. */
const STRETCH: i32 = 32;

/** @param scales, zeros count float64 each. @returns index of the first with the least error */
export function clipChoice(length: i32, x: usize, w: usize, count: i32, scales: usize, zeros: usize, low: f64, high: f64): i32 {
  const lowest = f64x2.splat(low);
  const highest = f64x2.splat(high);
  const half = f64x2.splat(0.5);
  const one = f64x2.splat(1);
  let best = 0;
  let least: f64 = Infinity;
  for (let c = 0; c < count; c++) {
    const scale = v128.load64_splat(scales + (<usize>c << 3));
    const zero = v128.load64_splat(zeros + (<usize>c << 3));
    let sums = f64x2.splat(0);
    let sum: f64 = 0;
    for (let from = 0; from < length && sum < least; from += STRETCH) {
      const to = from + STRETCH < length ? from + STRETCH : length;
      for (let i = from; i < to; i += 2) {
        const at = <usize>i << 3;
        // A missing last value has weight 0.
        const value = i + 1 < length ? v128.load(x + at) : v128.load64_zero(x + at);
        const weight = i + 1 < length ? v128.load(w + at) : v128.load64_zero(w + at);
        const t = f64x2.div(value, scale);
        // Ties upwards, as Math.round.
        const up = f64x2.ceil(t);
        const rounded = f64x2.sub(up, v128.and(f64x2.gt(f64x2.sub(up, half), t), one));
        const code = f64x2.pmax(f64x2.pmin(f64x2.add(rounded, zero), highest), lowest);
        const y = f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(f64x2.mul(f64x2.sub(code, zero), scale)));
        const e = f64x2.sub(value, y);
        sums = f64x2.add(sums, f64x2.mul(f64x2.mul(weight, e), e));
      }
      sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    }
    if (sum < least) {
      least = sum;
      best = c;
    }
  }
  return best;
}
