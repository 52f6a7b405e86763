// The elements of block-scaled formats: what configure() sets, and the nearest value of four quotients at a time.
// Reference: kernels/formats/element.ts. Values must be finite.

export const SYMMETRIC: i32 = 0;
export const ASYMMETRIC: i32 = 1;
export const FLOAT: i32 = 2;
/** Floats with the exponents of float32: rounded as integers, because the magic number of other floats would overflow. */
export const WIDE: i32 = 3;
/** Codebooks of at most 16 values, and longer ones. */
export const SHORT_BOOK: i32 = 4;
export const LONG_BOOK: i32 = 5;

// Scale storages; the order of ../wasm-ops.ts.
export const F16: i32 = 1;
export const BF16: i32 = 2;
export const P2_FLOOR: i32 = 3;
export const P2_UP: i32 = 4;
export const P2_NEAR: i32 = 5;
export const P2_EVEN: i32 = 6;
export const DYADIC: i32 = 7;
export const E4M3: i32 = 8;
export const P2_ROW: i32 = 9;

// The element, set by configure().
export let kind: i32 = 0;
export let lowest: f32 = 0;
export let highest: f32 = 0;
export let divisor: f32 = 1;
/** Added to the exponent bits of a value: 2^(23 - mantissa bits), so that adding and subtracting rounds to the mantissa. */
export let roundShift: i32 = 0;
/** Exponent bits of the least normal value: below it the step stays the same. */
export let leastExponent: i32 = 0;
export let storage: i32 = 0;
/** The scale above the block scales. */
export let outer: f32 = 1;
/** Add squares of dequantized values in float64, because squares of codes would leave float32. */
export let exactPower: bool = false;
/** Mantissa bits that wide floats drop. */
export let dropped: i32 = 16;
// Codebooks: thresholds, values (both float32) and, for each upper half of an ordered float32, how many thresholds lie below (uint16).
export let thresholds: usize = 0;
export let values: usize = 0;
export let cells: usize = 0;
export let thresholdCount: i32 = 0;

/** For floats, `highest` is the largest value. */
export function configure(kind_: i32, low: f32, high: f32, divisor_: f32, mantissaBits: i32, minExponent: i32, storage_: i32, outer_: f32, exactPower_: bool): void {
  kind = kind_;
  lowest = low;
  highest = high;
  divisor = divisor_;
  roundShift = (23 - mantissaBits) << 23;
  leastExponent = (minExponent + 127) << 23;
  storage = storage_;
  outer = outer_;
  exactPower = exactPower_;
  dropped = 23 - mantissaBits;
}

/**
 * Places of the codebook. A short one: at `thresholds_` a vector of equal lanes for each threshold, at `values_` the first value and
 * then vectors with the bits that change from each value to the next. A long one: plain arrays.
 */
export function codebook(thresholds_: usize, values_: usize, cells_: usize, count: i32): void {
  thresholdCount = count;
  thresholds = thresholds_;
  values = values_;
  cells = cells_;
}

// @ts-ignore: decorator
@inline
export function floatVector(t: v128, most: v128, least: v128, shift: v128, floor: v128): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(t, most), least);
  // 1.5 x 2^(exponent - mantissa + 23): a sum with it has the wanted step as its last bit.
  const exponent = i32x4.max_u(v128.and(clamped, i32x4.splat(0x7f800000)), floor);
  const magic = v128.or(i32x4.add(exponent, shift), i32x4.splat(0x00400000));
  return f32x4.sub(f32x4.add(clamped, magic), magic);
}

// @ts-ignore: decorator
@inline
export function wideVector(x: v128, most: v128, least: v128, drop: i32): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(x, most), least);
  const odd = v128.and(i32x4.shr_u(clamped, drop), i32x4.splat(1));
  return v128.and(i32x4.add(i32x4.add(clamped, i32x4.splat((1 << (drop - 1)) - 1)), odd), i32x4.splat(-1 << drop));
}

/** The values of a short codebook: starting from the first, each threshold reached flips the bits in which the next value differs. */
// @ts-ignore: decorator
@inline
export function shortBookVector(t: v128): v128 {
  let value = v128.load(values);
  for (let i = 0; i < thresholdCount; i++) {
    const at = <usize>i << 4;
    value = v128.xor(value, v128.and(f32x4.ge(t, v128.load(thresholds + at)), v128.load(values + at, 16)));
  }
  return value;
}

/** The value of t in a long codebook: the cell of its upper 16 bits bounds the search. */
// @ts-ignore: decorator
@inline
export function longBookValue(t: f32): f32 {
  // Adding zero makes a negative zero positive. Flipping the bits of negative numbers and the sign of positive ones puts floats in order.
  const bits = reinterpret<i32>(t + 0);
  const cell: usize = <usize>(<u32>(bits ^ ((bits >> 31) | 0x80000000)) >> 16) << 1;
  let low = <i32>load<u16>(cells + cell);
  let high = <i32>load<u16>(cells + cell, 2);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (t >= load<f32>(thresholds + (<usize>middle << 2))) low = middle + 1;
    else high = middle;
  }
  return load<f32>(values + (<usize>low << 2));
}

// @ts-ignore: decorator
@inline
export function longBookVector(t: v128): v128 {
  let value = f32x4.splat(longBookValue(f32x4.extract_lane(t, 0)));
  value = f32x4.replace_lane(value, 1, longBookValue(f32x4.extract_lane(t, 1)));
  value = f32x4.replace_lane(value, 2, longBookValue(f32x4.extract_lane(t, 2)));
  return f32x4.replace_lane(value, 3, longBookValue(f32x4.extract_lane(t, 3)));
}

