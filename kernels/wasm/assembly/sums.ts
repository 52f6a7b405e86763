// Sums of squared errors and of squared values over a run with one scale. Reference: ../errors.ref.ts.
import { laneTotal, partialVector, promoteHigh } from './lanes';
import {
  SYMMETRIC, ASYMMETRIC, FLOAT, WIDE, SHORT_BOOK, kind, lowest, highest, roundShift, leastExponent, exactPower, dropped, thresholds, values, thresholdCount, floatVector, wideVector, shortBookVector, longBookVector,
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
const CHUNK: i32 = 128;

// @ts-ignore: decorator
@inline
function quotient<D>(x: v128, step: v128, inverse: v128): v128 {
  if (isSigned<D>()) return f32x4.div(x, step);
  return f32x4.mul(x, inverse);
}

// @ts-ignore: decorator
@inline
function isShortBook<K>(): bool {
  return sizeof<K>() == 2 && isSigned<K>();
}

/** The value before scaling of four quotients. */
// @ts-ignore: decorator
@inline
function element<K>(t: v128, zero: v128, low: v128, high: v128, shift: v128, floor: v128): v128 {
  if (isFloat<K>()) {
    if (sizeof<K>() == 8) return wideVector(t, high, low, dropped);
    return floatVector(t, high, low, shift, floor);
  }
  if (isShortBook<K>()) return shortBookVector(t);
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

// @ts-ignore: decorator
@inline
function addSquares(sum: v128, e: v128): v128 {
  return f64x2.add(sum, f64x2.mul(e, e));
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
    const fours = at + (<usize>(part & ~15) << 2);
    for (; at < fours; at += 64) {
      let a = quotient<D>(v128.load(at), step, inverse);
      let b = quotient<D>(v128.load(at, 16), step, inverse);
      let c = quotient<D>(v128.load(at, 32), step, inverse);
      let d = quotient<D>(v128.load(at, 48), step, inverse);
      if (isShortBook<K>()) {
        // All four at once, so that each threshold is loaded once.
        const last = thresholds + (<usize>thresholdCount << 4);
        const distance = values + 16 - thresholds;
        let s = v128.load(values);
        let t = s;
        let u = s;
        let v = s;
        for (let k = thresholds; k < last; k += 16) {
          const threshold = v128.load(k);
          const change = v128.load(k + distance);
          s = v128.xor(s, v128.and(f32x4.ge(a, threshold), change));
          t = v128.xor(t, v128.and(f32x4.ge(b, threshold), change));
          u = v128.xor(u, v128.and(f32x4.ge(c, threshold), change));
          v = v128.xor(v, v128.and(f32x4.ge(d, threshold), change));
        }
        a = s;
        b = t;
        c = u;
        d = v;
      } else {
        a = element<K>(a, zero, low, high, shift, floor);
        b = element<K>(b, zero, low, high, shift, floor);
        c = element<K>(c, zero, low, high, shift, floor);
        d = element<K>(d, zero, low, high, shift, floor);
      }
      const e = f32x4.sub(v128.load(at), f32x4.mul(a, step));
      const f = f32x4.sub(v128.load(at, 16), f32x4.mul(b, step));
      const g = f32x4.sub(v128.load(at, 32), f32x4.mul(c, step));
      const h = f32x4.sub(v128.load(at, 48), f32x4.mul(d, step));
      squareLow = addSquares(addSquares(squareLow, f64x2.promote_low_f32x4(e)), f64x2.promote_low_f32x4(f));
      squareHigh = addSquares(addSquares(squareHigh, promoteHigh(e)), promoteHigh(f));
      squareLow = addSquares(addSquares(squareLow, f64x2.promote_low_f32x4(g)), f64x2.promote_low_f32x4(h));
      squareHigh = addSquares(addSquares(squareHigh, promoteHigh(g)), promoteHigh(h));
      if (isFloat<S>()) {
        a = f32x4.mul(a, step);
        b = f32x4.mul(b, step);
        c = f32x4.mul(c, step);
        d = f32x4.mul(d, step);
        powerLow = addSquares(addSquares(powerLow, f64x2.promote_low_f32x4(a)), f64x2.promote_low_f32x4(b));
        powerHigh = addSquares(addSquares(powerHigh, promoteHigh(a)), promoteHigh(b));
        powerLow = addSquares(addSquares(powerLow, f64x2.promote_low_f32x4(c)), f64x2.promote_low_f32x4(d));
        powerHigh = addSquares(addSquares(powerHigh, promoteHigh(c)), promoteHigh(d));
      } else if (isSigned<S>()) {
        power = f32x4.add(f32x4.add(power, f32x4.mul(a, a)), f32x4.mul(b, b));
        power = f32x4.add(f32x4.add(power, f32x4.mul(c, c)), f32x4.mul(d, d));
      }
    }
    for (let rest = part & 15; rest > 0; rest -= 4) {
      const x = rest >= 4 ? v128.load(at) : partialVector(at, rest, 0);
      let c = element<K>(quotient<D>(x, step, inverse), zero, low, high, shift, floor);
      let e = f32x4.sub(x, f32x4.mul(c, step));
      if (rest < 4) {
        c = v128.and(c, firstLanes(rest));
        e = v128.and(e, firstLanes(rest));
      }
      squareLow = addSquares(squareLow, f64x2.promote_low_f32x4(e));
      squareHigh = addSquares(squareHigh, promoteHigh(e));
      if (isFloat<S>()) {
        c = f32x4.mul(c, step);
        powerLow = addSquares(powerLow, f64x2.promote_low_f32x4(c));
        powerHigh = addSquares(powerHigh, promoteHigh(c));
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
    runAs<i16, S, i32>(ptr, length, scale, zeroPoint);
  } else {
    runAs<u16, S, i32>(ptr, length, scale, zeroPoint);
  }
}

/** Sets `squared` and `codePower`. */
export function runBoth(ptr: usize, length: i32, scale: f32, zeroPoint: f32): void {
  if (exactPower) run<f64>(ptr, length, scale, zeroPoint);
  else run<i32>(ptr, length, scale, zeroPoint);
}
