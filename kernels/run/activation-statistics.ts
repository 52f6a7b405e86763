/** Statistics of a value over many samples, added up batch by batch. */
import { CompensatedSum } from '../numerics/sums';

/** Channels whose figures are handed on, at most; more are thinned evenly. */
export const MOST_CHANNELS = 512;
/** Logarithmic bins of magnitudes, from 2^-40 to 2^40: so many to a power of two, and of those so many in a bin of the histogram. */
const PER_OCTAVE = 16;
const MERGED = 4;
const LEAST_EXPONENT = -40;
const BINS = 80 * PER_OCTAVE;

export interface ActivationStatistics {
  /** Finite values. */
  readonly count: number;
  readonly nonFinite: number;
  readonly zeros: number;
  readonly min: number;
  readonly max: number;
  readonly absmax: number;
  readonly mean: number;
  readonly std: number;
  /** Pearson kurtosis (3 for a normal distribution); null without variance. */
  readonly kurtosis: number | null;
  /** Magnitudes below which this share of the values lies, too large by at most a sixteenth of a power of two (4.5 %). */
  readonly magnitude: { readonly p50: number; readonly p99: number; readonly p999: number; readonly p9999: number };
  /** `counts[i]` magnitudes in [edges[i], edges[i + 1]); zeros are not counted. */
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] };
  /** Per channel: largest magnitude and mean square; null where there are no channels. */
  readonly channels: { readonly index: readonly number[]; readonly absmax: readonly number[]; readonly energy: readonly number[]; readonly total: number } | null;
  /** Largest channel magnitude over the median one; null where there are no channels. */
  readonly channelSpread: number | null;
  /** Channels of more than 8 times the median magnitude, the largest first; at most 16. */
  readonly outlierChannels: readonly number[];
}

const OUTLIER_RATIO = 8;
const MOST_OUTLIERS = 16;

export class ActivationSums {
  private count = 0;
  private nonFinite = 0;
  private zeros = 0;
  private min = Infinity;
  private max = -Infinity;
  /** About the first finite value, so that powers of a large mean do not drown the spread. */
  private shift: number | null = null;
  private readonly powers = [new CompensatedSum(), new CompensatedSum(), new CompensatedSum(), new CompensatedSum()];
  private readonly bins = new Float64Array(BINS);
  private absmax: Float64Array | null = null;
  private squares: Float64Array | null = null;
  private perChannel: Float64Array | null = null;

  /**
   * @param channelAxis dimension of the channels; null for none
   * @throws Error when the number of channels changes from batch to batch: then there are none (pass null).
   */
  add(data: Float32Array, shape: readonly number[], channelAxis: number | null): void {
    const channels = channelAxis === null ? 1 : shape[channelAxis] ?? 1;
    const inner = channelAxis === null ? data.length : shape.slice(channelAxis + 1).reduce((a, b) => a * b, 1);
    if (channelAxis !== null && this.absmax === null) [this.absmax, this.squares, this.perChannel] = [new Float64Array(channels), new Float64Array(channels), new Float64Array(channels)];
    const usesChannels = channelAxis !== null && this.absmax!.length === channels;
    if (channelAxis !== null && !usesChannels) throw new Error(`the value has ${channels} channels in one batch and ${this.absmax!.length} in another`);
    const own = [0, 0, 0, 0];
    let channel = 0;
    for (let at = 0; at < data.length; at += inner, channel = channel + 1 === channels ? 0 : channel + 1) {
      const end = Math.min(data.length, at + inner);
      let [peak, energy, seen] = [0, 0, 0];
      for (let i = at; i < end; i += 1) {
        const x = data[i]!;
        if (!Number.isFinite(x)) { this.nonFinite += 1; continue; }
        seen += 1;
        const magnitude = Math.abs(x);
        if (x < this.min) this.min = x;
        if (x > this.max) this.max = x;
        if (magnitude === 0) this.zeros += 1;
        else this.bins[binOf(magnitude)]! += 1;
        if (magnitude > peak) peak = magnitude;
        energy += x * x;
        this.shift ??= x;
        const d = x - this.shift;
        const d2 = d * d;
        own[0]! += d; own[1]! += d2; own[2]! += d2 * d; own[3]! += d2 * d2;
      }
      this.count += seen;
      if (usesChannels) {
        if (peak > this.absmax![channel]!) this.absmax![channel] = peak;
        this.squares![channel]! += energy;
        this.perChannel![channel]! += seen;
      }
    }
    own.forEach((sum, i) => this.powers[i]!.add(sum));
  }

  /** Null when nothing finite was seen. */
  statistics(): ActivationStatistics | null {
    const { count } = this;
    if (count === 0) return null;
    const [m1, m2, m3, m4] = this.powers.map((sum) => sum.value / count) as [number, number, number, number];
    const variance = Math.max(0, m2 - m1 * m1);
    const fourth = m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1 ** 4;
    const absmax = Math.max(Math.abs(this.min), Math.abs(this.max));
    return {
      count, nonFinite: this.nonFinite, zeros: this.zeros, min: this.min, max: this.max, absmax,
      mean: (this.shift ?? 0) + m1, std: Math.sqrt(variance), kurtosis: variance > 0 ? fourth / variance ** 2 : null,
      magnitude: { p50: this.quantile(0.5), p99: this.quantile(0.99), p999: this.quantile(0.999), p9999: this.quantile(0.9999) },
      histogram: this.histogram(), ...this.channelFigures(),
    };
  }

  /** The upper edge of the bin that the quantile of the magnitudes falls into, never above the largest. */
  private quantile(share: number): number {
    let left = share * this.count - this.zeros;
    if (left <= 0) return 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      left -= this.bins[bin]!;
      if (left <= 0) return Math.min(edge(bin + 1), Math.max(Math.abs(this.min), Math.abs(this.max)));
    }
    return Math.max(Math.abs(this.min), Math.abs(this.max));
  }

  private histogram(): ActivationStatistics['histogram'] {
    const merged = Array.from({ length: BINS / MERGED }, (_, i) => this.bins.subarray(i * MERGED, (i + 1) * MERGED).reduce((a, b) => a + b, 0));
    const first = merged.findIndex((each) => each > 0);
    if (first < 0) return { edges: [], counts: [] };
    const last = merged.findLastIndex((each) => each > 0);
    return { edges: Array.from({ length: last - first + 2 }, (_, i) => edge((first + i) * MERGED)), counts: merged.slice(first, last + 1) };
  }

  private channelFigures(): Pick<ActivationStatistics, 'channels' | 'channelSpread' | 'outlierChannels'> {
    const { absmax, squares, perChannel } = this;
    if (!absmax || absmax.length < 2) return { channels: null, channelSpread: null, outlierChannels: [] };
    const sorted = [...absmax].sort((a, b) => a - b);
    const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
    const step = Math.max(1, Math.ceil(absmax.length / MOST_CHANNELS));
    const index = Array.from({ length: Math.ceil(absmax.length / step) }, (_, i) => i * step);
    const outliers = median > 0 ? [...absmax.keys()].filter((i) => absmax[i]! > OUTLIER_RATIO * median).sort((a, b) => absmax[b]! - absmax[a]! || a - b) : [];
    return {
      channels: { index, absmax: index.map((i) => absmax[i]!), energy: index.map((i) => squares![i]! / Math.max(1, perChannel![i]!)), total: absmax.length },
      channelSpread: median > 0 ? sorted.at(-1)! / median : null,
      outlierChannels: outliers.slice(0, MOST_OUTLIERS),
    };
  }
}

const binOf = (magnitude: number): number => Math.min(BINS - 1, Math.max(0, Math.floor((Math.log2(magnitude) - LEAST_EXPONENT) * PER_OCTAVE)));
const edge = (bin: number): number => 2 ** (LEAST_EXPONENT + bin / PER_OCTAVE);
