// The searches of ggml's encoders in native float32. Plain reference, operation by operation: ../../numerics/ggml/encode-search.ts.
// Four values at a time; sums take the lanes one after the other, so that they round as the reference does. n is a multiple of 4.

let minimumFound: f32 = 0;

/** Minus the minimum that the last affine search found. */
export function foundMinimum(): f32 {
  return minimumFound;
}

/** Codes of four values, between low and high. */
// @ts-ignore: decorator
@inline
function codesOf(scaled: v128, low: v128, high: v128): v128 {
  return f32x4.max(low, f32x4.min(high, f32x4.nearest(scaled)));
}

/** Adds four lanes in order. */
// @ts-ignore: decorator
@inline
function addLanes(sum: f32, v: v128): f32 {
  return sum + f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}

/** Weighted differences of four values. */
// @ts-ignore: decorator
@inline
function errors(w: v128, l: v128, value: v128, scale: v128, minimum: v128, absolute: bool): v128 {
  const difference = f32x4.sub(f32x4.add(f32x4.mul(scale, l), minimum), value);
  return f32x4.mul(w, absolute ? f32x4.abs(difference) : f32x4.mul(difference, difference));
}

/** @param codes, trial room for n floats each; the codes come as floats */
export function affineSearch(n: i32, most: f32, x: usize, w: usize, codes: usize, trial: usize, least: f32, step: f32, count: i32, absolute: bool): f32 {
  const bytes: usize = <usize>n << 2;
  let minimum = load<f32>(x);
  let maximum = minimum;
  let sumW = load<f32>(w);
  let sumX = sumW * minimum;
  for (let i: usize = 4; i < bytes; i += 4) {
    const value = load<f32>(x + i);
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
    sumW += load<f32>(w + i);
    sumX += load<f32>(w + i) * value;
  }
  if (minimum > 0) minimum = 0;
  if (maximum <= minimum) {
    for (let i: usize = 0; i < bytes; i += 4) store<f32>(codes + i, 0);
    minimumFound = -minimum;
    return 0;
  }
  const first = most / (maximum - minimum);
  let scale: f32 = <f32>1 / first;
  let best: f32 = 0;
  const zero = f32x4.splat(0);
  const top = f32x4.splat(most);
  for (let i: usize = 0; i < bytes; i += 16) {
    const value = v128.load(x + i);
    const l = codesOf(f32x4.mul(f32x4.splat(first), f32x4.sub(value, f32x4.splat(minimum))), zero, top);
    v128.store(codes + i, l);
    best = addLanes(best, errors(v128.load(w + i), l, value, f32x4.splat(scale), f32x4.splat(minimum), absolute));
  }
  for (let index = 0; index <= count; index++) {
    const inverse = (least + step * <f32>index + most) / (maximum - minimum);
    let sumL: f32 = 0;
    let sumL2: f32 = 0;
    let sumLX: f32 = 0;
    const low = f32x4.splat(minimum);
    const factor = f32x4.splat(inverse);
    for (let i: usize = 0; i < bytes; i += 16) {
      const value = v128.load(x + i);
      const l = codesOf(f32x4.mul(factor, f32x4.sub(value, low)), zero, top);
      v128.store(trial + i, l);
      const wl = f32x4.mul(v128.load(w + i), l);
      sumL = addLanes(sumL, wl);
      sumL2 = addLanes(sumL2, f32x4.mul(wl, l));
      sumLX = addLanes(sumLX, f32x4.mul(wl, value));
    }
    const determinant = sumW * sumL2 - sumL * sumL;
    if (!(determinant > 0)) continue;
    let tryScale = (sumW * sumLX - sumX * sumL) / determinant;
    let tryMinimum = (sumL2 * sumX - sumL * sumLX) / determinant;
    if (tryMinimum > 0) {
      tryMinimum = 0;
      tryScale = sumLX / sumL2;
    }
    let error: f32 = 0;
    const by = f32x4.splat(tryScale);
    const from = f32x4.splat(tryMinimum);
    for (let i: usize = 0; i < bytes; i += 16) error = addLanes(error, errors(v128.load(w + i), v128.load(trial + i), v128.load(x + i), by, from, absolute));
    if (error < best) {
      memory.copy(codes, trial, bytes);
      best = error;
      scale = tryScale;
      minimum = tryMinimum;
    }
  }
  minimumFound = -minimum;
  return scale;
}

let sumLX: f32 = 0;
let sumL2: f32 = 0;

function accumulate(bytes: usize, most: f32, x: usize, w: usize, trial: usize, inverse: f32): void {
  let lx: f32 = 0;
  let l2: f32 = 0;
  const low = f32x4.splat(-most);
  const high = f32x4.splat(most - 1);
  const factor = f32x4.splat(inverse);
  for (let i: usize = 0; i < bytes; i += 16) {
    const value = v128.load(x + i);
    const l = codesOf(f32x4.mul(factor, value), low, high);
    v128.store(trial + i, l);
    const weight = w ? v128.load(w + i) : f32x4.mul(value, value);
    lx = addLanes(lx, f32x4.mul(f32x4.mul(weight, value), l));
    l2 = addLanes(l2, f32x4.mul(f32x4.mul(weight, l), l));
  }
  sumLX = lx;
  sumL2 = l2;
}

/** @param w weights, or 0 for the squares of the values; codes come as floats, without `most` added */
export function symmetricSearch(n: i32, most: f32, x: usize, w: usize, codes: usize, trial: usize): f32 {
  const bytes: usize = <usize>n << 2;
  let amax: f32 = 0;
  let extreme: f32 = 0;
  for (let i: usize = 0; i < bytes; i += 4) {
    const value = load<f32>(x + i);
    if (abs<f32>(value) > amax) {
      amax = abs<f32>(value);
      extreme = value;
    }
  }
  if (amax < <f32>1e-15) {
    for (let i: usize = 0; i < bytes; i += 4) store<f32>(codes + i, -most);
    return 0;
  }
  accumulate(bytes, most, x, w, trial, -most / extreme);
  memory.copy(codes, trial, bytes);
  let scale: f32 = sumL2 ? sumLX / sumL2 : 0;
  let best = scale * sumLX;
  for (let step = -9; step <= 9; step++) {
    if (step == 0) continue;
    accumulate(bytes, most, x, w, trial, -(most + <f32>0.1 * <f32>step) / extreme);
    if (sumL2 > 0 && sumLX * sumLX > best * sumL2) {
      memory.copy(codes, trial, bytes);
      scale = sumLX / sumL2;
      best = scale * sumLX;
    }
  }
  return scale;
}
