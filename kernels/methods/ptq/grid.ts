/** The grid of a block-scaled format: which values a weight may take, given the scale of its block. */
import { blockLayout } from '../../formats/blocks';
import { CLIP_FRACTIONS } from '../../formats/clip-search';
import { dequantizeElement, elementCodes, quantizeElement } from '../../formats/element';
import { isBlockScaled, type BlockScaledFormat, type NumberFormat, type Quantized, type WeightView } from '../../formats/format';

/** @throws Error for formats whose weights cannot be chosen one by one. */
export function blockScaledOnly(format: NumberFormat, method: string): BlockScaledFormat {
  if (isBlockScaled(format) && format.granularity !== null) return format;
  throw new Error(`${method} chooses the code of one weight after another, which ${format.id} does not allow; use a format with a scale per tensor, channel or group (int, fp, mx, nf4...), or the method rtn`);
}
import type { ClipTrials, Codes, WeightedRun } from '../../numerics/clip-choice';
import { clipChoice } from '../../wasm/clip';

type Floats = Float32Array | Float64Array;

export class Grid {
  readonly scales: Float32Array;
  readonly zeroPoints: Int32Array | null;
  /** Weights per block, and blocks per row (0 when one block holds the whole tensor). */
  readonly size: number;
  readonly perRow: number;
  private readonly outer: Float32Array | undefined;
  private readonly trials: ClipTrials = { scales: new Float64Array(CLIP_FRACTIONS.length), zeros: new Float64Array(CLIP_FRACTIONS.length) };

  /** @param weights whose scales are found by `absmax` to begin with; scales above the scales stay those */
  constructor(readonly format: BlockScaledFormat, readonly view: WeightView, weights: Float32Array) {
    const { count, size } = blockLayout(view, format.granularity);
    const found = format.findScales(weights, view, 'absmax');
    this.scales = found.scales.slice();
    this.zeroPoints = found.zeroPoints?.slice() ?? null;
    this.outer = found.outer;
    this.size = size;
    this.perRow = count >= view.rows && view.rows > 0 ? count / view.rows : 0;
  }

  block(row: number, col: number): number {
    return this.perRow === 0 ? 0 : row * this.perRow + Math.floor(col / this.size);
  }

  /** The grid value nearest to x. */
  nearest(x: number, block: number): number {
    const { element } = this.format;
    const [scale, zero] = [this.scales[block]!, this.zeroPoints?.[block] ?? 0];
    if (element.kind === 'int') {
      let code = Math.round(x / scale) + zero;
      code = code < element.low ? element.low : code > element.high ? element.high : code;
      return Math.fround((code - zero) * scale);
    }
    return dequantizeElement(element, quantizeElement(element, x, scale, zero), scale, zero);
  }

  /** Sets the scale of a block to the one stored for a range. */
  private setRange(block: number, minimum: number, maximum: number, clip: number): void {
    const above = this.outer?.[this.outer.length === 1 ? 0 : Math.floor(block / Math.max(1, this.perRow))] ?? 1;
    const { scale, zeroPoint } = this.format.scaleOf(minimum, maximum, clip, above);
    this.scales[block] = scale;
    if (this.zeroPoints) this.zeroPoints[block] = zeroPoint;
  }

  /** The grid values on either side of x; the two lowest or highest where it lies outside. */
  neighbours(x: number, block: number): readonly [number, number] {
    const { element } = this.format;
    const [scale, zero] = [this.scales[block]!, this.zeroPoints?.[block] ?? 0];
    if (element.kind === 'int') {
      const code = Math.min(Math.max(Math.floor(x / scale) + zero, element.low), element.high - 1);
      return [Math.fround((code - zero) * scale), Math.fround((code + 1 - zero) * scale)];
    }
    const values = this.elementValues();
    const t = x / scale;
    let [low, high] = [0, values.length - 1];
    while (high - low > 1) { const middle = (low + high) >> 1; if (values[middle]! <= t) low = middle; else high = middle; }
    return [Math.fround(values[low]! * scale), Math.fround(values[high]! * scale)];
  }
  private sorted: Float64Array | null = null;
  private elementValues(): Float64Array {
    this.sorted ??= Float64Array.from(new Set(elementCodes(this.format.element, this.format.codeBits).map((value) => value + 0))).sort();
    return this.sorted;
  }

  /**
   * Multiplies the scale of a block, as far as its storage allows. @returns what it was really multiplied with; 1 when it stays
   */
  rescale(block: number, factor: number): number {
    const before = this.scales[block]!;
    if (!(factor > 0) || !Number.isFinite(factor) || !(before > 0)) return 1;
    if (this.format.scaleStorage === 'f32') this.scales[block] = Math.fround(before * factor);
    else if (!this.zeroPoints) this.setScale(block, before * factor);
    if (!(this.scales[block]! > 0) || !Number.isFinite(this.scales[block]!)) this.scales[block] = before;
    return this.scales[block]! / before;
  }

  /** Scales and zero points as they are, to come back to. */
  state(): { scales: Float32Array; zeroPoints: Int32Array | null } {
    return { scales: this.scales.slice(), zeroPoints: this.zeroPoints?.slice() ?? null };
  }
  restore({ scales, zeroPoints }: { scales: Float32Array; zeroPoints: Int32Array | null }): void {
    this.scales.set(scales);
    if (zeroPoints) this.zeroPoints!.set(zeroPoints);
  }

  /** Sets the scale of a symmetric block as near to `scale` as its storage allows. */
  setScale(block: number, scale: number): void {
    const { divisor } = this.format.element;
    const end = Math.abs(scale) * (divisor ?? 1);
    this.setRange(block, this.zeroPoints ? 0 : -end, end, 1);
  }

  /**
   * Finds the scale of a block: of a fixed list of fractions of its range, the one with the least sum of squared errors, each
   * weighted with its importance. A tie goes to the larger fraction.
   *
   * @param values `length` of them from `at` on; their importance, if any, from `importanceAt` on
   */
  fit(block: number, values: Floats, at: number, length: number, importance: Float64Array | null, importanceAt: number, search: boolean): void {
    let [low, high] = [0, 0];
    for (let i = 0; i < length; i += 1) { const x = values[at + i]!; if (x < low) low = x; if (x > high) high = x; }
    this.setRange(block, low, high, 1);
    if (!search) return;
    const { element } = this.format;
    const best = element.kind === 'int' && importance ? this.leastOfIntegers(element, block, low, high, { values, at, length, weights: importance, weightsAt: importanceAt }) : this.leastError(block, low, high, values, at, length, importance, importanceAt);
    this.setRange(block, low, high, CLIP_FRACTIONS[best]!);
  }

  private leastOfIntegers(element: Codes, block: number, low: number, high: number, run: WeightedRun): number {
    const { scales, zeros } = this.trials;
    for (let c = 0; c < CLIP_FRACTIONS.length; c += 1) {
      this.setRange(block, low, high, CLIP_FRACTIONS[c]!);
      scales[c] = this.scales[block]!;
      zeros[c] = this.zeroPoints?.[block] ?? 0;
    }
    return clipChoice(run, this.trials, element);
  }

  private leastError(block: number, low: number, high: number, values: Floats, at: number, length: number, importance: Float64Array | null, importanceAt: number): number {
    let [best, least] = [0, Infinity];
    for (let c = 0; c < CLIP_FRACTIONS.length; c += 1) {
      this.setRange(block, low, high, CLIP_FRACTIONS[c]!);
      let sum = 0;
      for (let i = 0; i < length && sum < least; i += 1) {
        const x = values[at + i]!;
        const e = x - this.nearest(x, block);
        sum += importance ? importance[importanceAt + i]! * e * e : e * e;
      }
      if (sum < least) { least = sum; best = c; }
    }
    return best;
  }

  /** Weights rounded to the grid become what is stored. */
  encode(values: Float32Array): Quantized {
    return this.format.encodeWith(values, this.view, { scales: this.scales, zeroPoints: this.zeroPoints, ...(this.outer ? { outer: this.outer } : {}) });
  }
}
