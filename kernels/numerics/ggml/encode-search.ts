/**
 * The searches behind ggml's encoders: scales (and minima) of a run of values, found by trying some and keeping the best. Every
 * step rounds to float32 where ggml's scalar code does, in its order, so that the same bytes come out. Method: ggml
 * (github.com/ggml-org/ggml, src/ggml-quants.c); the searches are coordinate and grid searches of a weighted least squares fit.
 */
const f = Math.fround;

/** Runs whose largest magnitude is below this are zero. */
const NOTHING = f(1e-15);

/** Adding it to a double leaves the nearest integer, ties to even. */
const SHIFT = 6755399441055744;

/** The nearest integer of a float32, ties to even. */
export function nearest(x: number): number {
  return x + SHIFT - SHIFT;
}

/** What the searches write codes to before they know whether they keep them. */
const trial = new Int32Array(256);

/**
 * Codes -most..most - 1 for `n` values: the scale of the extreme value and 18 around it are tried, and the least squares scale of
 * the best is taken.
 * @param w weights, or null for the squares of the values
 * @param codes receives code + most
 * @returns the scale
 */
export function symmetricSearch(n: number, most: number, x: Float32Array, at: number, codes: Int32Array, codesAt: number, w: Float32Array | null, wAt: number): number {
  let amax = 0;
  let extreme = 0;
  for (let i = 0; i < n; i += 1) {
    const a = Math.abs(x[at + i]!);
    if (a > amax) {
      amax = a;
      extreme = x[at + i]!;
    }
  }
  if (amax < NOTHING) {
    codes.fill(0, codesAt, codesAt + n);
    return 0;
  }
  let sumLX = 0;
  let sumL2 = 0;
  const accumulate = (inverse: number): void => {
    let lx = 0;
    let l2 = 0;
    for (let i = 0; i < n; i += 1) {
      const value = x[at + i]!;
      const l = Math.max(-most, Math.min(most - 1, nearest(f(inverse * value))));
      trial[i] = l;
      const weight = w ? w[wAt + i]! : f(value * value);
      lx = f(lx + f(f(weight * value) * l));
      l2 = f(l2 + f(f(weight * l) * l));
    }
    sumLX = lx;
    sumL2 = l2;
  };
  const keep = (): void => { for (let i = 0; i < n; i += 1) codes[codesAt + i] = trial[i]! + most; };
  accumulate(f(-most / extreme));
  keep();
  let scale = sumL2 ? f(sumLX / sumL2) : 0;
  let best = f(scale * sumLX);
  for (let step = -9; step <= 9; step += 1) {
    if (step === 0) continue;
    accumulate(f(-f(most + f(f(0.1) * step)) / extreme));
    if (sumL2 > 0 && f(sumLX * sumLX) > f(best * sumL2)) {
      keep();
      scale = f(sumLX / sumL2);
      best = f(scale * sumLX);
    }
  }
  return scale;
}

/**
 * Codes -most..most - 1 weighted by the squares of the values, improved one by one, up to five rounds.
 * @param codes receives code + most
 * @returns the least squares scale
 */
export function coordinateSearch(n: number, most: number, x: Float32Array, at: number, codes: Int32Array, codesAt: number): number {
  let amax = 0;
  let extreme = 0;
  for (let i = 0; i < n; i += 1) {
    const a = Math.abs(x[at + i]!);
    if (a > amax) {
      amax = a;
      extreme = x[at + i]!;
    }
  }
  if (amax < NOTHING) {
    codes.fill(0, codesAt, codesAt + n);
    return 0;
  }
  const inverse = f(-most / extreme);
  const clamp = (l: number): number => Math.max(-most, Math.min(most - 1, l));
  let sumLX = 0;
  let sumL2 = 0;
  for (let i = 0; i < n; i += 1) {
    const value = x[at + i]!;
    const l = clamp(nearest(f(inverse * value)));
    codes[codesAt + i] = l;
    const weight = f(value * value);
    sumLX = f(sumLX + f(f(weight * value) * l));
    sumL2 = f(sumL2 + f(f(weight * l) * l));
  }
  for (let round = 0; round < 5; round += 1) {
    let changed = false;
    for (let i = 0; i < n; i += 1) {
      const value = x[at + i]!;
      const old = codes[codesAt + i]!;
      const weight = f(value * value);
      let lx = f(sumLX - f(f(weight * value) * old));
      if (!(lx > 0)) continue;
      let l2 = f(sumL2 - f(f(weight * old) * old));
      const l = clamp(nearest(f(f(value * l2) / lx)));
      if (l === old) continue;
      lx = f(lx + f(f(weight * value) * l));
      l2 = f(l2 + f(f(weight * l) * l));
      if (l2 > 0 && f(f(lx * lx) * sumL2) > f(f(sumLX * sumLX) * l2)) {
        codes[codesAt + i] = l;
        sumLX = lx;
        sumL2 = l2;
        changed = true;
      }
    }
    if (!changed) break;
  }
  for (let i = 0; i < n; i += 1) codes[codesAt + i]! += most;
  return sumL2 > 0 ? f(sumLX / sumL2) : 0;
}

/** The steps of an {@link affineSearch}: inverse scales (least + step x index + most) / range. */
export interface AffineSteps {
  readonly least: number;
  readonly step: number;
  readonly count: number;
  /** Compare by absolute instead of squared differences. */
  readonly absolute: boolean;
}

/** Minus the minimum that the last {@link affineSearch} found. */
export let foundMinimum = 0;

/**
 * Codes 0..most with a scale and a minimum that is not above zero: for each of some inverse scales the least squares scale and
 * minimum of the codes it gives, the best kept.
 * @returns the scale; the minimum, negated, in {@link foundMinimum}
 */
export function affineSearch(n: number, most: number, x: Float32Array, at: number, w: Float32Array, wAt: number, codes: Int32Array, codesAt: number, steps: AffineSteps): number {
  const { absolute } = steps;
  let minimum = x[at]!;
  let maximum = minimum;
  let sumW = w[wAt]!;
  let sumX = f(sumW * minimum);
  for (let i = 1; i < n; i += 1) {
    const value = x[at + i]!;
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
    sumW = f(sumW + w[wAt + i]!);
    sumX = f(sumX + f(w[wAt + i]! * value));
  }
  if (minimum > 0) minimum = 0;
  if (maximum <= minimum) {
    codes.fill(0, codesAt, codesAt + n);
    foundMinimum = -minimum;
    return 0;
  }
  const first = f(most / f(maximum - minimum));
  let scale = f(1 / first);
  let best = 0;
  for (let i = 0; i < n; i += 1) {
    const value = x[at + i]!;
    const l = Math.max(0, Math.min(most, nearest(f(first * f(value - minimum)))));
    codes[codesAt + i] = l;
    const difference = f(f(f(scale * l) + minimum) - value);
    best = f(best + f(w[wAt + i]! * (absolute ? Math.abs(difference) : f(difference * difference))));
  }
  const least = f(steps.least);
  const step = f(steps.step);
  for (let index = 0; index <= steps.count; index += 1) {
    // The range follows the best minimum so far.
    const inverse = f(f(f(least + f(step * index)) + most) / f(maximum - minimum));
    let sumL = 0;
    let sumL2 = 0;
    let sumLX = 0;
    for (let i = 0; i < n; i += 1) {
      const value = x[at + i]!;
      const l = Math.max(0, Math.min(most, nearest(f(inverse * f(value - minimum)))));
      trial[i] = l;
      const wl = f(w[wAt + i]! * l);
      sumL = f(sumL + wl);
      sumL2 = f(sumL2 + f(wl * l));
      sumLX = f(sumLX + f(wl * value));
    }
    const determinant = f(f(sumW * sumL2) - f(sumL * sumL));
    if (!(determinant > 0)) continue;
    let tryScale = f(f(f(sumW * sumLX) - f(sumX * sumL)) / determinant);
    let tryMinimum = f(f(f(sumL2 * sumX) - f(sumL * sumLX)) / determinant);
    if (tryMinimum > 0) {
      tryMinimum = 0;
      tryScale = f(sumLX / sumL2);
    }
    let error = 0;
    for (let i = 0; i < n; i += 1) {
      const difference = f(f(f(tryScale * trial[i]!) + tryMinimum) - x[at + i]!);
      error = f(error + f(w[wAt + i]! * (absolute ? Math.abs(difference) : f(difference * difference))));
    }
    if (error < best) {
      for (let i = 0; i < n; i += 1) codes[codesAt + i] = trial[i]!;
      best = error;
      scale = tryScale;
      minimum = tryMinimum;
    }
  }
  foundMinimum = -minimum;
  return scale;
}

/**
 * Codes 0..most for `n` scales that are not negative, weighted: nine inverse scales tried, then the codes improved one by one.
 * @returns the scale of the scales
 */
export function positiveSearch(n: number, most: number, x: Float32Array, codes: Int32Array, w: Float32Array): number {
  let maximum = 0;
  for (let i = 0; i < n; i += 1) maximum = Math.max(maximum, x[i]!);
  if (maximum < NOTHING) {
    codes.fill(0, 0, n);
    return 0;
  }
  const errorOf = (inverse: number, clamp: boolean): number => {
    const scale = f(1 / inverse);
    let error = 0;
    for (let i = 0; i < n; i += 1) {
      let l = nearest(f(inverse * x[i]!));
      if (clamp) l = Math.min(most, l);
      const difference = f(x[i]! - f(scale * l));
      error = f(error + f(f(w[i]! * difference) * difference));
    }
    return error;
  };
  let inverse = f(most / maximum);
  let best = errorOf(inverse, false);
  for (let step = -4; step <= 4; step += 1) {
    if (step === 0) continue;
    const other = f(f(f(f(0.1) * step) + most) / maximum);
    const error = errorOf(other, true);
    if (error < best) {
      best = error;
      inverse = other;
    }
  }
  let sumLX = 0;
  let sumL2 = 0;
  for (let i = 0; i < n; i += 1) {
    const l = Math.min(most, nearest(f(inverse * x[i]!)));
    codes[i] = l;
    sumLX = f(sumLX + f(f(w[i]! * x[i]!) * l));
    sumL2 = f(sumL2 + f(f(w[i]! * l) * l));
  }
  for (let round = 0; round < 5; round += 1) {
    let changed = false;
    for (let i = 0; i < n; i += 1) {
      const old = codes[i]!;
      let lx = f(sumLX - f(f(w[i]! * x[i]!) * old));
      let l2 = f(sumL2 - f(f(w[i]! * old) * old));
      if (!(lx > 0 && l2 > 0)) continue;
      const l = Math.min(most, nearest(f(f(x[i]! * l2) / lx)));
      if (l === old) continue;
      lx = f(lx + f(f(w[i]! * x[i]!) * l));
      l2 = f(l2 + f(f(w[i]! * l) * l));
      if (f(f(lx * lx) * sumL2) > f(f(sumLX * sumLX) * l2)) {
        codes[i] = l;
        sumLX = lx;
        sumL2 = l2;
        changed = true;
      }
    }
    if (!changed) break;
  }
  return sumL2 > 0 ? f(sumLX / sumL2) : 0;
}

/** Weights qw sqrt(sigma2 + x^2) of `n` values. */
export function importanceWeights(n: number, x: Float32Array, at: number, importance: Float32Array, importanceAt: number, sigma2: number, out: Float32Array): void {
  for (let i = 0; i < n; i += 1) out[i] = importance[importanceAt + i]! * f(Math.sqrt(f(sigma2 + f(x[at + i]! * x[at + i]!))));
}

/** Sum of squares of `n` values, added one after the other in float32. */
export function sumOfSquares(n: number, x: Float32Array, at: number): number {
  let sum = 0;
  for (let i = 0; i < n; i += 1) sum = f(sum + f(x[at + i]! * x[at + i]!));
  return sum;
}
