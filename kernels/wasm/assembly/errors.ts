// Fused error passes: range, scale, rounding and error of each block in one go. Reference: ../errors.ref.ts and
// kernels/formats/element.ts. Values must be finite.
import { partialVector } from './lanes';
import { ASYMMETRIC, F16, BF16, P2_FLOOR, P2_UP, P2_NEAR, P2_EVEN, DYADIC, E4M3, P2_ROW, kind, lowest, highest, divisor, storage, outer, floatVector, wideVector } from './element';
import { squared, codePower, run, runBoth } from './sums';

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

/** More than what the rounding of sums can take from one of them. */
const SURELY: f64 = 1 - 1 / 1048576.0;

/** The clip fraction with the least squared error for the block whose range was found. */
function bestClip(ptr: usize, size: i32, clips: usize, clipCount: i32, room: usize): f32 {
  let clip: f32 = 1;
  let best: f64 = Infinity;
  for (let c = 0; c < clipCount; c++) {
    const fraction = load<f32>(clips + (<usize>c << 2));
    findScale(blockLeast, blockMost, fraction);
    if (c > 0 && kind != ASYMMETRIC) {
      // An extreme value that is clipped is given the last code, whose value falls with the scale. Once the extremes alone cost
      // more than the best block so far, every smaller fraction costs more still. (With a zero point this does not hold exactly.)
      let clipped = 0;
      if (blockLeast < lowest * blockScale) store<f32>(room + (clipped++ << 2), blockLeast);
      if (blockMost > highest * blockScale) store<f32>(room + (clipped++ << 2), blockMost);
      if (clipped > 0) {
        run<u32>(room, clipped, blockScale, 0);
        if (squared * SURELY > best) break;
      }
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
