// Fused error passes: range, scale, rounding and error of each block in one go. Reference: ../errors.ref.ts and
// kernels/formats/element.ts. Values must be finite.
import { laneTotal, partialVector, promoteHigh } from './lanes';

const SYMMETRIC: i32 = 0;
const ASYMMETRIC: i32 = 1;
const FLOAT: i32 = 2;
/** Floats with the exponents of float32: rounded as integers, because the magic number of other floats would overflow. */
const WIDE: i32 = 3;
/** Codebooks of at most 16 values, and longer ones. */
const SHORT_BOOK: i32 = 4;
const LONG_BOOK: i32 = 5;

// Scale storages; the order of ../wasm-ops.ts.
const F16: i32 = 1;
const BF16: i32 = 2;
const P2_FLOOR: i32 = 3;
const P2_UP: i32 = 4;
const P2_NEAR: i32 = 5;
const P2_EVEN: i32 = 6;
const DYADIC: i32 = 7;
const E4M3: i32 = 8;
const P2_ROW: i32 = 9;

// The element, set by configure().
let kind: i32 = 0;
let lowest: f32 = 0;
let highest: f32 = 0;
let divisor: f32 = 1;
/** Added to the exponent bits of a value: 2^(23 - mantissa bits), so that adding and subtracting rounds to the mantissa. */
let roundShift: i32 = 0;
/** Exponent bits of the least normal value: below it the step stays the same. */
let leastExponent: i32 = 0;
let storage: i32 = 0;
/** The scale above the block scales. */
let outer: f32 = 1;
/** Add squares of dequantized values in float64, because squares of codes would leave float32. */
let exactPower: bool = false;
/** Mantissa bits that wide floats drop. */
let dropped: i32 = 16;
// Codebooks: thresholds, values (both float32) and, for each upper half of an ordered float32, how many thresholds lie below (uint16).
let thresholds: usize = 0;
let values: usize = 0;
let cells: usize = 0;
let thresholdCount: i32 = 0;

/** The sums of the last run. */
let squared: f64 = 0;
/** Sum of the squares of the dequantized values. */
let codePower: f64 = 0;

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
function floatVector(t: v128, most: v128, least: v128, shift: v128, floor: v128): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(t, most), least);
  // 1.5 x 2^(exponent - mantissa + 23): a sum with it has the wanted step as its last bit.
  const exponent = i32x4.max_u(v128.and(clamped, i32x4.splat(0x7f800000)), floor);
  const magic = v128.or(i32x4.add(exponent, shift), i32x4.splat(0x00400000));
  return f32x4.sub(f32x4.add(clamped, magic), magic);
}

// @ts-ignore: decorator
@inline
function wideVector(x: v128, most: v128, least: v128, drop: i32): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(x, most), least);
  const odd = v128.and(i32x4.shr_u(clamped, drop), i32x4.splat(1));
  return v128.and(i32x4.add(i32x4.add(clamped, i32x4.splat((1 << (drop - 1)) - 1)), odd), i32x4.splat(-1 << drop));
}

/** The value of t in a long codebook: the cell of its upper 16 bits bounds the search. */
// @ts-ignore: decorator
@inline
function longBookValue(t: f32): f32 {
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
function longBookVector(t: v128): v128 {
  let value = f32x4.splat(longBookValue(f32x4.extract_lane(t, 0)));
  value = f32x4.replace_lane(value, 1, longBookValue(f32x4.extract_lane(t, 1)));
  value = f32x4.replace_lane(value, 2, longBookValue(f32x4.extract_lane(t, 2)));
  return f32x4.replace_lane(value, 3, longBookValue(f32x4.extract_lane(t, 3)));
}

// The loops below are written once and compiled for each element kind K, kind of sums S and kind of quotient D: a type argument is
// the only compile-time switch there is.
// K: i8 symmetric, u8 asymmetric, f32 float, f64 wide float, i16 short codebook, u16 long codebook.
// S: i32 squares and power of the codes, u32 squares only, f64 squares and power in float64.
// D: i32 division, u32 multiplication by an exact inverse (powers of two).

/** Codes whose squares are summed in float32 before they are added in float64. */
const CHUNK: i32 = 128;

// @ts-ignore: decorator
@inline
function quotient<D>(x: v128, step: v128, inverse: v128): v128 {
  if (isSigned<D>()) return f32x4.div(x, step);
  return f32x4.mul(x, inverse);
}

/** The value before scaling of four quotients. */
// @ts-ignore: decorator
@inline
function element<K>(t: v128, zero: v128, low: v128, high: v128, shift: v128, floor: v128): v128 {
  if (isFloat<K>()) {
    if (sizeof<K>() == 8) return wideVector(t, high, low, dropped);
    return floatVector(t, high, low, shift, floor);
  }
  if (sizeof<K>() == 2) return longBookVector(t);
  if (isSigned<K>()) return f32x4.pmin(f32x4.pmax(f32x4.nearest(t), low), high);
  return f32x4.sub(f32x4.pmin(f32x4.pmax(f32x4.add(f32x4.nearest(t), zero), low), high), zero);
}

/** Ones in the first `rest` lanes. */
// @ts-ignore: decorator
@inline
function firstLanes(rest: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(rest));
}

function runAs<K, S, D>(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
  const step = f32x4.splat(scale);
  const inverse = f32x4.splat(1 / scale);
  const zero = f32x4.splat(zeroPoint);
  const low = f32x4.splat(lowest);
  const high = f32x4.splat(highest);
  const shift = i32x4.splat(roundShift);
  const floor = i32x4.splat(leastExponent);
  let squareLow = f64x2.splat(0);
  let squareHigh = f64x2.splat(0);
  let powerLow = f64x2.splat(0);
  let powerHigh = f64x2.splat(0);
  let at = ptr;
  for (let left = length; left > 0; left -= CHUNK) {
    const part = min<i32>(left, CHUNK);
    let power = f32x4.splat(0);
    // Two vectors a turn; each adds to the same lanes, in order.
    const pairs = at + (<usize>(part & ~7) << 2);
    for (; at < pairs; at += 32) {
      const x = v128.load(at);
      const next = v128.load(at, 16);
      const c = element<K>(quotient<D>(x, step, inverse), zero, low, high, shift, floor);
      const d = element<K>(quotient<D>(next, step, inverse), zero, low, high, shift, floor);
      const y = f32x4.mul(c, step);
      const z = f32x4.mul(d, step);
      const e = f32x4.sub(x, y);
      const f = f32x4.sub(next, z);
      squareLow = addSquares(addSquares(squareLow, f64x2.promote_low_f32x4(e)), f64x2.promote_low_f32x4(f));
      squareHigh = addSquares(addSquares(squareHigh, promoteHigh(e)), promoteHigh(f));
      if (isFloat<S>()) {
        powerLow = addSquares(addSquares(powerLow, f64x2.promote_low_f32x4(y)), f64x2.promote_low_f32x4(z));
        powerHigh = addSquares(addSquares(powerHigh, promoteHigh(y)), promoteHigh(z));
      } else if (isSigned<S>()) {
        power = f32x4.add(f32x4.add(power, f32x4.mul(c, c)), f32x4.mul(d, d));
      }
    }
    for (let rest = part & 7; rest > 0; rest -= 4) {
      const x = rest >= 4 ? v128.load(at) : partialVector(at, rest, 0);
      let c = element<K>(f32x4.div(x, step), zero, low, high, shift, floor);
      let e = f32x4.sub(x, f32x4.mul(c, step));
      if (rest < 4) {
        c = v128.and(c, firstLanes(rest));
        e = v128.and(e, firstLanes(rest));
      }
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      if (isFloat<S>()) {
        powerLow = addSquares(powerLow, f64x2.promote_low_f32x4(f32x4.mul(c, step)));
        powerHigh = addSquares(powerHigh, promoteHigh(f32x4.mul(c, step)));
      } else if (isSigned<S>()) {
        power = f32x4.add(power, f32x4.mul(c, c));
      }
      at += 16;
    }
    if (!isFloat<S>() && isSigned<S>()) {
      powerLow = f64x2.add(powerLow, f64x2.promote_low_f32x4(power));
      powerHigh = f64x2.add(powerHigh, promoteHigh(power));
    }
  }
  squared = laneTotal(squareLow, squareHigh);
  if (isFloat<S>()) codePower = laneTotal(powerLow, powerHigh);
  else if (isSigned<S>()) codePower = laneTotal(powerLow, powerHigh) * <f64>scale * <f64>scale;
}

// @ts-ignore: decorator
@inline
function squareOf(x: v128): v128 {
  return f64x2.mul(x, x);
}

// @ts-ignore: decorator
@inline
function addSquares(sum: v128, e: v128): v128 {
  return f64x2.add(sum, squareOf(e));
}

/**
 * The loop for codebooks of at most 16 values, 16 weights a turn: starting from the first value, each threshold reached flips the
 * bits in which the next value differs.
 */
function runShortBook<S>(ptr: usize, length: i32, scale: f32): void {
  const step = f32x4.splat(scale);
  const first = v128.load(values);
  const last = thresholds + (<usize>thresholdCount << 4);
  const distance = values + 16 - thresholds;
  let squareLow = f64x2.splat(0);
  let squareHigh = f64x2.splat(0);
  let powerLow = f64x2.splat(0);
  let powerHigh = f64x2.splat(0);
  let at = ptr;
  for (let left = length; left > 0; left -= CHUNK) {
    const part = min<i32>(left, CHUNK);
    let power = f32x4.splat(0);
    const fours = at + (<usize>(part & ~15) << 2);
    for (; at < fours; at += 64) {
      const s = f32x4.div(v128.load(at), step);
      const t = f32x4.div(v128.load(at, 16), step);
      const u = f32x4.div(v128.load(at, 32), step);
      const v = f32x4.div(v128.load(at, 48), step);
      let a = first;
      let b = first;
      let c = first;
      let d = first;
      for (let k = thresholds; k < last; k += 16) {
        const threshold = v128.load(k);
        const change = v128.load(k + distance);
        a = v128.xor(a, v128.and(f32x4.ge(s, threshold), change));
        b = v128.xor(b, v128.and(f32x4.ge(t, threshold), change));
        c = v128.xor(c, v128.and(f32x4.ge(u, threshold), change));
        d = v128.xor(d, v128.and(f32x4.ge(v, threshold), change));
      }
      let e = f32x4.sub(v128.load(at), f32x4.mul(a, step));
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      e = f32x4.sub(v128.load(at, 16), f32x4.mul(b, step));
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      e = f32x4.sub(v128.load(at, 32), f32x4.mul(c, step));
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      e = f32x4.sub(v128.load(at, 48), f32x4.mul(d, step));
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      if (isFloat<S>()) {
        powerLow = addSquares(addSquares(powerLow, f64x2.promote_low_f32x4(f32x4.mul(a, step))), f64x2.promote_low_f32x4(f32x4.mul(b, step)));
        powerHigh = addSquares(addSquares(powerHigh, promoteHigh(f32x4.mul(a, step))), promoteHigh(f32x4.mul(b, step)));
        powerLow = addSquares(addSquares(powerLow, f64x2.promote_low_f32x4(f32x4.mul(c, step))), f64x2.promote_low_f32x4(f32x4.mul(d, step)));
        powerHigh = addSquares(addSquares(powerHigh, promoteHigh(f32x4.mul(c, step))), promoteHigh(f32x4.mul(d, step)));
      } else if (isSigned<S>()) {
        power = f32x4.add(f32x4.add(power, f32x4.mul(a, a)), f32x4.mul(b, b));
        power = f32x4.add(f32x4.add(power, f32x4.mul(c, c)), f32x4.mul(d, d));
      }
    }
    for (let rest = part & 15; rest > 0; rest -= 4) {
      const x = rest >= 4 ? v128.load(at) : partialVector(at, rest, 0);
      const t = f32x4.div(x, step);
      let a = first;
      for (let k = thresholds; k < last; k += 16) a = v128.xor(a, v128.and(f32x4.ge(t, v128.load(k)), v128.load(k + distance)));
      let e = f32x4.sub(x, f32x4.mul(a, step));
      if (rest < 4) {
        a = v128.and(a, firstLanes(rest));
        e = v128.and(e, firstLanes(rest));
      }
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      if (isFloat<S>()) {
        powerLow = addSquares(powerLow, f64x2.promote_low_f32x4(f32x4.mul(a, step)));
        powerHigh = addSquares(powerHigh, promoteHigh(f32x4.mul(a, step)));
      } else if (isSigned<S>()) {
        power = f32x4.add(power, f32x4.mul(a, a));
      }
      at += 16;
    }
    if (!isFloat<S>() && isSigned<S>()) {
      powerLow = f64x2.add(powerLow, f64x2.promote_low_f32x4(power));
      powerHigh = f64x2.add(powerHigh, promoteHigh(power));
    }
  }
  squared = laneTotal(squareLow, squareHigh);
  if (isFloat<S>()) codePower = laneTotal(powerLow, powerHigh);
  else if (isSigned<S>()) codePower = laneTotal(powerLow, powerHigh) * <f64>scale * <f64>scale;
}

/** Whether x * (1 / scale) is x / scale: a power of two whose inverse is one. */
// @ts-ignore: decorator
@inline
function isPowerOfTwo(scale: f32): bool {
  const bits = reinterpret<u32>(scale);
  return (bits & 0x7fffff) == 0 && bits >= (1 << 23);
}

/** Sets `squared` and, unless S is u32, `codePower` for `length` values with one scale. */
// @ts-ignore: decorator
@inline
function run<S>(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
  if (kind == SYMMETRIC) {
    if (isPowerOfTwo(scale)) runAs<i8, S, u32>(ptr, length, scale, zeroPoint);
    else runAs<i8, S, i32>(ptr, length, scale, zeroPoint);
  } else if (kind == ASYMMETRIC) {
    runAs<u8, S, i32>(ptr, length, scale, zeroPoint);
  } else if (kind == FLOAT) {
    if (isPowerOfTwo(scale)) runAs<f32, S, u32>(ptr, length, scale, zeroPoint);
    else runAs<f32, S, i32>(ptr, length, scale, zeroPoint);
  } else if (kind == WIDE) {
    if (isPowerOfTwo(scale)) runAs<f64, S, u32>(ptr, length, scale, zeroPoint);
    else runAs<f64, S, i32>(ptr, length, scale, zeroPoint);
  } else if (kind == SHORT_BOOK) {
    runShortBook<S>(ptr, length, scale);
  } else {
    runAs<u16, S, i32>(ptr, length, scale, zeroPoint);
  }
}

/** Sets `squared` and `codePower`. */
// @ts-ignore: decorator
@inline
function runBoth(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
  if (exactPower) run<f64>(ptr, length, scale, zeroPoint);
  else run<i32>(ptr, length, scale, zeroPoint);
}

/** out, float64: squared, power. */
export function pieceErrors(ptr: usize, length: i32, scale: f32, zeroPoint: f32, out: usize): void {
  runBoth(ptr, length, scale, zeroPoint);
  store<f64>(out, squared);
  store<f64>(out, codePower, 8);
}

/** A positive power of two from an exponent between -149 and 127. */
// @ts-ignore: decorator
@inline
function powerOfTwo(exponent: i32): f32 {
  return <f32>reinterpret<f64>(<u64>(exponent + 1023) << 52);
}

// @ts-ignore: decorator
@inline
function exponentOf(x: f64): i32 {
  return <i32>((reinterpret<u64>(x) >> 52) & 0x7ff) - 1023;
}

// @ts-ignore: decorator
@inline
function roundedFloat(x: f32, most: f32, mantissaBits: i32, minExponent: i32): f32 {
  const v = floatVector(f32x4.splat(x), f32x4.splat(most), f32x4.splat(-most), i32x4.splat((23 - mantissaBits) << 23), i32x4.splat((minExponent + 127) << 23));
  return f32x4.extract_lane(v, 0);
}

/** The scale that is used for a block of this range: kernels/formats/scale.ts. */
// @ts-ignore: decorator
@inline
function storedScale(range: f32): f32 {
  const free = range / divisor;
  let stored = free;
  if (storage >= P2_FLOOR) {
    if (storage <= P2_EVEN) {
      if (!(range > 0)) return 1;
      const ratio = <f64>range / <f64>divisor;
      let exponent = exponentOf(ratio);
      const mantissa = reinterpret<f64>((reinterpret<u64>(ratio) & 0x000fffffffffffff) | 0x3ff0000000000000);
      if (storage == P2_UP && mantissa > 1) exponent++;
      else if (storage == P2_NEAR && mantissa > 1.4142135623730951) exponent++;
      else if (storage == P2_EVEN && mantissa >= 1.75) exponent++;
      const most = min<i32>(exponentOf(3.4028234663852886e38 / (<f64>divisor + 1)), 127);
      const least = kind <= ASYMMETRIC ? -127 - exponentOf(<f64>divisor) : -127;
      return powerOfTwo(min<i32>(max<i32>(exponent, least), most));
    }
    if (storage == E4M3) {
      const rounded = roundedFloat(free / outer, 448, 3, -6);
      return (rounded > 0.001953125 ? rounded : 0.001953125) * outer;
    }
    if (storage == P2_ROW) {
      const down = range == 0 ? 0 : free == 0 ? 15 : exponentOf(<f64>outer / <f64>free);
      return outer * powerOfTwo(down < 0 ? 0 : down > 15 ? -15 : -down);
    }
    if (storage == DYADIC) {
      const most = reinterpret<f32>(0x7f7fff00);
      stored = f32x4.extract_lane(wideVector(f32x4.splat(free), f32x4.splat(most), f32x4.splat(-most), 8), 0);
    }
  } else if (storage == F16) {
    stored = roundedFloat(free, 65504, 10, -14);
  } else if (storage == BF16) {
    const most = reinterpret<f32>(0x7f7f0000);
    stored = f32x4.extract_lane(wideVector(f32x4.splat(free), f32x4.splat(most), f32x4.splat(-most), 16), 0);
  }
  return stored > 0 ? stored : 1;
}

let blockScale: f32 = 1;
let blockZero: f32 = 0;

/** Sets `blockScale` and `blockZero` from the block's range, which includes zero. */
// @ts-ignore: decorator
@inline
function findScale(lower: f32, upper: f32, clip: f32): void {
  const low = lower * clip;
  const high = upper * clip;
  if (kind != ASYMMETRIC) {
    blockScale = storedScale(-low > high ? -low : high);
    blockZero = 0;
    return;
  }
  // Ends are cut at +-2^126, so that neither the span nor a dequantized value overflows.
  const most: f32 = reinterpret<f32>(253 << 23);
  const start = low < -most ? -most : low;
  const end = high > most ? most : high;
  blockScale = storedScale(end - start);
  const zero = nearest<f32>(-start / blockScale);
  blockZero = zero < lowest ? lowest : zero > highest ? highest : zero;
}

/** The range of the block, widened to include zero. */
let blockLeast: f32 = 0;
let blockMost: f32 = 0;

// @ts-ignore: decorator
@inline
function findRange(ptr: usize, size: i32): void {
  let least = f32x4.splat(0);
  let most = f32x4.splat(0);
  let least2 = least;
  let most2 = most;
  let least3 = least;
  let most3 = most;
  let least4 = least;
  let most4 = most;
  let at = ptr;
  const eights = ptr + (<usize>(size & ~31) << 2);
  for (; at < eights; at += 128) {
    let x = v128.load(at);
    let y = v128.load(at, 16);
    let z = v128.load(at, 32);
    let w = v128.load(at, 48);
    least = f32x4.pmin(least, x);
    most = f32x4.pmax(most, x);
    least2 = f32x4.pmin(least2, y);
    most2 = f32x4.pmax(most2, y);
    least3 = f32x4.pmin(least3, z);
    most3 = f32x4.pmax(most3, z);
    least4 = f32x4.pmin(least4, w);
    most4 = f32x4.pmax(most4, w);
    x = v128.load(at, 64);
    y = v128.load(at, 80);
    z = v128.load(at, 96);
    w = v128.load(at, 112);
    least = f32x4.pmin(least, x);
    most = f32x4.pmax(most, x);
    least2 = f32x4.pmin(least2, y);
    most2 = f32x4.pmax(most2, y);
    least3 = f32x4.pmin(least3, z);
    most3 = f32x4.pmax(most3, z);
    least4 = f32x4.pmin(least4, w);
    most4 = f32x4.pmax(most4, w);
  }
  least = f32x4.pmin(least, least3);
  most = f32x4.pmax(most, most3);
  least2 = f32x4.pmin(least2, least4);
  most2 = f32x4.pmax(most2, most4);
  for (let rest = size & 31; rest > 0; rest -= 4) {
    const x = rest >= 4 ? v128.load(at) : partialVector(at, rest, 0);
    least = f32x4.pmin(least, x);
    most = f32x4.pmax(most, x);
    at += 16;
  }
  least = f32x4.pmin(least, least2);
  most = f32x4.pmax(most, most2);
  least = f32x4.pmin(least, v128.shuffle<f32>(least, least, 2, 3, 0, 1));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
  least = f32x4.pmin(least, v128.shuffle<f32>(least, least, 1, 0, 3, 2));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
  blockLeast = f32x4.extract_lane(least, 0);
  blockMost = f32x4.extract_lane(most, 0);
}

/** The clip fraction with the least squared error for the block whose range was found. */
function bestClip(ptr: usize, size: i32, clips: usize, clipCount: i32, room: usize): f32 {
  const floor: f32 = lowest;
  let clip: f32 = 1;
  let best: f64 = Infinity;
  for (let c = 0; c < clipCount; c++) {
    const fraction = load<f32>(clips + (<usize>c << 2));
    findScale(blockLeast, blockMost, fraction);
    if (c > 0 && kind != ASYMMETRIC) {
      // An extreme value that is clipped is given the last code, whose value falls with the scale. Once it alone costs more
      // than the best block so far, every smaller fraction costs more still. (With a zero point this does not hold exactly.)
      store<f32>(room, blockLeast);
      store<f32>(room, blockMost, 4);
      run<u32>(room, 1, blockScale, 0);
      if (squared > best && blockLeast / blockScale < floor) break;
      run<u32>(room + 4, 1, blockScale, 0);
      if (squared > best && blockMost / blockScale > highest) break;
    }
    run<u32>(ptr, size, blockScale, blockZero);
    if (squared < best) {
      best = squared;
      clip = fraction;
    }
  }
  return clip;
}

/**
 * For each block: its range, the scale (the best of `clips` fractions, larger first, when there is more than one), its error.
 * Adds to the two float64 at `out` in block order; stores scales and zero points (int32) when their addresses are not 0.
 * `room` is 8 bytes of working memory.
 */
export function blockErrors(ptr: usize, blocks: i32, size: i32, clips: usize, clipCount: i32, out: usize, scales: usize, zeroPoints: usize, room: usize): void {
  let totalSquared = load<f64>(out);
  let totalPower = load<f64>(out, 8);
  let at = ptr;
  for (let block = 0; block < blocks; block++) {
    findRange(at, size);
    findScale(blockLeast, blockMost, clipCount > 1 ? bestClip(at, size, clips, clipCount, room) : 1);
    runBoth(at, size, blockScale, blockZero);
    totalSquared += squared;
    totalPower += codePower;
    if (scales) store<f32>(scales + (<usize>block << 2), blockScale);
    if (zeroPoints) store<i32>(zeroPoints + (<usize>block << 2), <i32>blockZero);
    at += <usize>size << 2;
  }
  store<f64>(out, totalSquared);
  store<f64>(out, totalPower, 8);
}
