// Statistics of a tile. Reference: ../statistics.ref.ts.
import { countLanes, laneTotal, partialVector, promoteHigh } from './lanes';

const INF: f32 = f32.POSITIVE_INFINITY;

/** out, float64: nan, inf, zeros, fp16 overflow, fp16 underflow, min, max, sum, sum of squares. */
export function statistics(ptr: usize, length: i32, out: usize): void {
  const infinity = f32x4.splat(INF);
  const zero = f32x4.splat(0);
  const overflow = f32x4.splat(65520);
  const underflow = f32x4.splat(2.98023223876953125e-8);
  let nans = i32x4.splat(0);
  let infs = i32x4.splat(0);
  let zeros = i32x4.splat(0);
  let overs = i32x4.splat(0);
  let unders = i32x4.splat(0);
  let least = f32x4.splat(INF);
  let most = f32x4.splat(-INF);
  let sumLow = f64x2.splat(0);
  let sumHigh = f64x2.splat(0);
  let squareLow = f64x2.splat(0);
  let squareHigh = f64x2.splat(0);
  const missing = (4 - (length & 3)) & 3;
  for (let i = 0; i < length; i += 4) {
    const at = ptr + (<usize>i << 2);
    // Missing lanes are NaN: left out of everything but the NaN count, which is corrected below.
    const x = i + 4 <= length ? v128.load(at) : partialVector(at, length - i, f32.NaN);
    const magnitude = f32x4.abs(x);
    const finite = f32x4.lt(magnitude, infinity);
    nans = i32x4.sub(nans, f32x4.ne(x, x));
    infs = i32x4.sub(infs, f32x4.eq(magnitude, infinity));
    zeros = i32x4.sub(zeros, f32x4.eq(magnitude, zero));
    overs = i32x4.sub(overs, v128.and(f32x4.ge(magnitude, overflow), finite));
    unders = i32x4.sub(unders, f32x4.le(magnitude, underflow));
    least = f32x4.pmin(least, v128.bitselect(x, infinity, finite));
    most = f32x4.pmax(most, v128.bitselect(x, f32x4.neg(infinity), finite));
    const kept = v128.and(x, finite);
    const low = f64x2.promote_low_f32x4(kept);
    const high = promoteHigh(kept);
    sumLow = f64x2.add(sumLow, low);
    sumHigh = f64x2.add(sumHigh, high);
    squareLow = f64x2.add(squareLow, f64x2.mul(low, low));
    squareHigh = f64x2.add(squareHigh, f64x2.mul(high, high));
  }
  store<f64>(out, countLanes(nans) - <f64>missing);
  store<f64>(out, countLanes(infs), 8);
  store<f64>(out, countLanes(zeros), 16);
  store<f64>(out, countLanes(overs), 24);
  store<f64>(out, countLanes(unders) - countLanes(zeros), 32);
  store<f64>(out, <f64>leastLane(least), 40);
  store<f64>(out, <f64>mostLane(most), 48);
  store<f64>(out, laneTotal(sumLow, sumHigh), 56);
  store<f64>(out, laneTotal(squareLow, squareHigh), 64);
}

// Adding zero turns -0 into 0.
// @ts-ignore: decorator
@inline
export function leastLane(v: v128): f32 {
  return min<f32>(min<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), min<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3))) + 0;
}

// @ts-ignore: decorator
@inline
export function mostLane(v: v128): f32 {
  return max<f32>(max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3))) + 0;
}

/** out, float64: sums of powers 2, 3, 4 of the distance from `mean`. */
export function moments(ptr: usize, length: i32, mean: f64, out: usize): void {
  const centre = f64x2.splat(mean);
  const infinity = f64x2.splat(f64.POSITIVE_INFINITY);
  let twoLow = f64x2.splat(0);
  let twoHigh = f64x2.splat(0);
  let threeLow = f64x2.splat(0);
  let threeHigh = f64x2.splat(0);
  let fourLow = f64x2.splat(0);
  let fourHigh = f64x2.splat(0);
  for (let i = 0; i < length; i += 4) {
    const at = ptr + (<usize>i << 2);
    const x = i + 4 <= length ? v128.load(at) : partialVector(at, length - i, f32.NaN);
    const xLow = f64x2.promote_low_f32x4(x);
    const xHigh = promoteHigh(x);
    const low = v128.and(f64x2.sub(xLow, centre), f64x2.lt(f64x2.abs(xLow), infinity));
    const high = v128.and(f64x2.sub(xHigh, centre), f64x2.lt(f64x2.abs(xHigh), infinity));
    const low2 = f64x2.mul(low, low);
    const high2 = f64x2.mul(high, high);
    twoLow = f64x2.add(twoLow, low2);
    twoHigh = f64x2.add(twoHigh, high2);
    threeLow = f64x2.add(threeLow, f64x2.mul(low2, low));
    threeHigh = f64x2.add(threeHigh, f64x2.mul(high2, high));
    fourLow = f64x2.add(fourLow, f64x2.mul(low2, low2));
    fourHigh = f64x2.add(fourHigh, f64x2.mul(high2, high2));
  }
  store<f64>(out, laneTotal(twoLow, twoHigh));
  store<f64>(out, laneTotal(threeLow, threeHigh), 8);
  store<f64>(out, laneTotal(fourLow, fourHigh), 16);
}

/** out, float64: finite values with z > 1, and with |z| > 6. */
export function exceedances(ptr: usize, length: i32, mean: f64, std: f64, out: usize): void {
  const centre = f64x2.splat(mean);
  const one = f64x2.splat(std);
  const six = f64x2.splat(6 * std);
  const infinity = f64x2.splat(f64.POSITIVE_INFINITY);
  let ones = i64x2.splat(0);
  let sixes = i64x2.splat(0);
  for (let i = 0; i < length; i += 4) {
    const at = ptr + (<usize>i << 2);
    const x = i + 4 <= length ? v128.load(at) : partialVector(at, length - i, f32.NaN);
    const low = f64x2.sub(f64x2.promote_low_f32x4(x), centre);
    const high = f64x2.sub(promoteHigh(x), centre);
    const sizeLow = f64x2.abs(low);
    const sizeHigh = f64x2.abs(high);
    const finiteLow = f64x2.lt(sizeLow, infinity);
    const finiteHigh = f64x2.lt(sizeHigh, infinity);
    ones = i64x2.sub(ones, v128.and(f64x2.gt(low, one), finiteLow));
    ones = i64x2.sub(ones, v128.and(f64x2.gt(high, one), finiteHigh));
    sixes = i64x2.sub(sixes, v128.and(f64x2.gt(sizeLow, six), finiteLow));
    sixes = i64x2.sub(sixes, v128.and(f64x2.gt(sizeHigh, six), finiteHigh));
  }
  store<f64>(out, <f64>(i64x2.extract_lane(ones, 0) + i64x2.extract_lane(ones, 1)));
  store<f64>(out, <f64>(i64x2.extract_lane(sixes, 0) + i64x2.extract_lane(sixes, 1)), 8);
}

/** Finite minimum and maximum (float32) of each run of `size` values. */
export function ranges(ptr: usize, runs: i32, size: i32, minima: usize, maxima: usize): void {
  const infinity = f32x4.splat(INF);
  const negative = f32x4.neg(infinity);
  let at = ptr;
  for (let run = 0; run < runs; run++) {
    let least = infinity;
    let most = negative;
    for (let i = 0; i < size; i += 4) {
      const x = i + 4 <= size ? v128.load(at + (<usize>i << 2)) : partialVector(at + (<usize>i << 2), size - i, f32.NaN);
      const finite = f32x4.lt(f32x4.abs(x), infinity);
      least = f32x4.pmin(least, v128.bitselect(x, infinity, finite));
      most = f32x4.pmax(most, v128.bitselect(x, negative, finite));
    }
    store<f32>(minima + (<usize>run << 2), leastLane(least));
    store<f32>(maxima + (<usize>run << 2), mostLane(most));
    at += <usize>size << 2;
  }
}

/** Adds to `bins` float64 counts of equal width between low and high; `high` falls in the last bin. */
export function histogram(ptr: usize, length: i32, low: f64, high: f64, counts: usize, bins: i32): void {
  const perUnit = high > low ? <f64>bins / (high - low) : 0;
  for (let i = 0; i < length; i++) {
    const x = <f64>load<f32>(ptr + (<usize>i << 2));
    if (!(x >= low && x <= high)) continue;
    const bin = min<i32>(bins - 1, <i32>Math.floor((x - low) * perUnit));
    const at = counts + (<usize>bin << 3);
    store<f64>(at, load<f64>(at) + 1);
  }
}

/** Plain sum, four float32 lanes a vector: what reading the memory costs, for benchmarks to compare with. */
export function sum(ptr: usize, length: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const end = ptr + (<usize>(length & ~15) << 2);
  for (let at = ptr; at < end; at += 64) {
    a = f32x4.add(a, v128.load(at));
    b = f32x4.add(b, v128.load(at, 16));
    c = f32x4.add(c, v128.load(at, 32));
    d = f32x4.add(d, v128.load(at, 48));
  }
  const all = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return f32x4.extract_lane(all, 0) + f32x4.extract_lane(all, 1) + f32x4.extract_lane(all, 2) + f32x4.extract_lane(all, 3);
}
