// Sums of squared errors and of squared values over a run with one scale. Reference: ../errors.ref.ts.
import { laneTotal, partialVector, promoteHigh } from './lanes';
import {
  SYMMETRIC, ASYMMETRIC, FLOAT, WIDE, SHORT_BOOK, kind, lowest, highest, roundShift, leastExponent, exactPower, dropped, thresholds, values, thresholdCount, floatVector, wideVector, longBookVector,
} from './element';

/** The sums of the last run. */
export let squared: f64 = 0;
/** Sum of the squares of the dequantized values. */
export let codePower: f64 = 0;

// The loops below are written once and compiled for each element kind K, kind of sums S and kind of quotient D: a type argument is
// the only compile-time switch there is.
// K: i8 symmetric, u8 asymmetric, f32 float, f64 wide float, i16 short codebook, u16 long codebook.
// S: i32 squares and power of the codes, u32 squares only, f64 squares and power in float64.
// D: i32 division, u32 multiplication by an exact inverse (powers of two).

/** Codes whose squares are summed in float32 before they are added in float64. */
export const CHUNK: i32 = 128;

// @ts-ignore: decorator
@inline
export function quotient<D>(x: v128, step: v128, inverse: v128): v128 {
  if (isSigned<D>()) return f32x4.div(x, step);
  return f32x4.mul(x, inverse);
}

/** The value before scaling of four quotients. */
// @ts-ignore: decorator
@inline
export function element<K>(t: v128, zero: v128, low: v128, high: v128, shift: v128, floor: v128): v128 {
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
export function firstLanes(rest: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(rest));
}

export function runAs<K, S, D>(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
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
export function squareOf(x: v128): v128 {
  return f64x2.mul(x, x);
}

// @ts-ignore: decorator
@inline
export function addSquares(sum: v128, e: v128): v128 {
  return f64x2.add(sum, squareOf(e));
}

/**
 * The loop for codebooks of at most 16 values, 16 weights a turn: starting from the first value, each threshold reached flips the
 * bits in which the next value differs.
 */
export function runShortBook<S>(ptr: usize, length: i32, scale: f32): void {
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
export function isPowerOfTwo(scale: f32): bool {
  const bits = reinterpret<u32>(scale);
  return (bits & 0x7fffff) == 0 && bits >= (1 << 23);
}

/** Sets `squared` and, unless S is u32, `codePower` for `length` values with one scale. */
// @ts-ignore: decorator
@inline
export function run<S>(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
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
export function runBoth(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
  if (exactPower) run<f64>(ptr, length, scale, zeroPoint);
  else run<i32>(ptr, length, scale, zeroPoint);
}

