/**
 * Codebooks as elements: any ascending list of values, with explicit decision thresholds. The code of t = float32(x / scale) is
 * the number of thresholds that t is not below, so a threshold belongs to the upper value; a tie that goes down is a threshold
 * one float32 step higher. Midpoints that float32 cannot hold are rounded up, which moves no float32 across them.
 */
import type { CodebookElement } from './format';

/** The most values of a codebook: codes have 16 bits. */
export const MAX_CODEBOOK = 65536;

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The least float32 that is not below x. */
export function roundUpToFloat32(x: number): number {
  const rounded = Math.fround(x);
  return rounded < x ? nextUp(rounded) : rounded;
}

/** The least float32 above the float32 x. */
export function nextUp(x: number): number {
  if (x === 0) return 2 ** -149;
  float[0] = x;
  bits[0] = bits[0]! + (x > 0 ? 1 : -1);
  return float[0];
}

/**
 * Which of two neighbours a value half way between them gets: `up` and `down` by value, `away` from zero or `zero`ward,
 * `even` the one whose stored code is even (the upper where both or neither are).
 */
export type Tie = 'up' | 'down' | 'away' | 'zero' | 'even';

/** Thresholds of nearest rounding. @param values ascending float32 values @param codes stored codes, for ties to even */
export function nearestThresholds(values: Float32Array, tie: Tie, codes: ArrayLike<number>): Float32Array {
  return Float32Array.from({ length: Math.max(0, values.length - 1) }, (_, i) => {
    const [low, high] = [values[i]!, values[i + 1]!];
    const middle = (low + high) / 2;
    const up = tie === 'up' || (tie === 'away' && middle > 0) || (tie === 'zero' && middle < 0) || (tie === 'even' && codes[i]! % 2 !== 0);
    const exact = Math.fround(middle);
    return exact === middle && !up ? nextUp(exact) : roundUpToFloat32(middle);
  });
}

export interface CodebookDefinition {
  /** Ascending, without repetition; the first at most 0, the last at least 0. Rounded to float32. */
  readonly values: ArrayLike<number>;
  /** scale = absmax / divisor. Left out: the largest magnitude of the values. Null: a plain cast without scale. */
  readonly divisor?: number | null;
  /** Decision thresholds other than those of nearest rounding. */
  readonly thresholds?: ArrayLike<number>;
  /** Ties of nearest rounding; `down` unless said. */
  readonly tie?: Tie;
  /** Stored code of each value; its index unless said. */
  readonly codes?: ArrayLike<number>;
}

/** @throws RangeError when the values are no ascending list around zero, or the lists do not fit each other. */
export function codebookElement(definition: CodebookDefinition): CodebookElement {
  const values = Float32Array.from(definition.values, (value) => value + 0);
  const codes = Uint16Array.from(definition.codes ?? values.map((_, i) => i));
  const thresholds = definition.thresholds ? Float32Array.from(definition.thresholds) : nearestThresholds(values, definition.tie ?? 'down', codes);
  if (values.length < 2 || values.length > MAX_CODEBOOK) throw new RangeError(`a codebook has 2 to ${MAX_CODEBOOK} values, not ${values.length}`);
  if (!values.every((value, i) => Number.isFinite(value) && (i === 0 || value > values[i - 1]!))) throw new RangeError('the values of a codebook are finite and ascend');
  if (values[0]! > 0 || values.at(-1)! < 0) throw new RangeError('the values of a codebook lie around zero');
  if (thresholds.length !== values.length - 1 || !thresholds.every((value, i) => Number.isFinite(value) && (i === 0 || value >= thresholds[i - 1]!))) {
    throw new RangeError('a codebook has one ascending threshold between each two values');
  }
  if (codes.length !== values.length || new Set(codes).size !== codes.length) throw new RangeError('each value of a codebook has its own stored code');
  const divisor = definition.divisor === undefined ? Math.max(-values[0]!, values.at(-1)!) : definition.divisor;
  if (divisor !== null && !(divisor > 0 && Number.isFinite(divisor))) throw new RangeError('the divisor of a codebook is positive');
  return { kind: 'codebook', values, thresholds, divisor, codes };
}

/** How many thresholds `t` is not below: the index of its value. */
export function codebookIndex(thresholds: Float32Array, t: number): number {
  let [low, high] = [0, thresholds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (t >= thresholds[middle]!) low = middle + 1;
    else high = middle;
  }
  return low;
}

const indexes = new WeakMap<CodebookElement, Int32Array>();

/** Index of the value of each stored code; -1 for codes that stand for none. */
export function indexOfCode(element: CodebookElement): Int32Array {
  let index = indexes.get(element);
  if (!index) {
    index = new Int32Array(Math.max(...element.codes) + 1).fill(-1);
    element.codes.forEach((code, i) => { index![code] = i; });
    indexes.set(element, index);
  }
  return index;
}

/** Bits of a float32 in an order that rises with its value; negative zero counts as zero. */
function orderedBits(x: number): number {
  float[0] = x + 0;
  return bits[0]! < 0 ? ~bits[0]! >>> 0 : (bits[0]! ^ 0x80000000) >>> 0;
}

/** For each upper half of {@link orderedBits}, and one past the last: how many thresholds lie in lower halves. */
export function thresholdCells(thresholds: Float32Array): Uint16Array {
  const cells = new Uint16Array(65537);
  let below = 0;
  for (let cell = 0; cell < cells.length; cell += 1) {
    while (below < thresholds.length && orderedBits(thresholds[below]!) < cell * 65536) below += 1;
    cells[cell] = below;
  }
  return cells;
}
