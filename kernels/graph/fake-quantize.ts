/**
 * Number formats as operators: a value is rounded to what a format can hold while the model runs, bit for bit as the format itself
 * encodes and decodes (element.ts, scale.ts). Integers and small floats; scales in float32, float16, powers of two, or FP8.
 */
import type { BlockScaledFormat, NumberFormat, ScaleStorage } from '../formats/format';
import { isBlockScaled } from '../formats/format';
import { leastScaleExponent } from '../formats/element';
import { E4M3FN, exponentOf, type MinifloatSpec } from '../numerics/minifloat';
import type { GraphEmitter } from './emitter';

/** Where the channels of a value lie: last (rows of a matrix, tokens), or second (pictures). */
export type ChannelPlace = 'last' | 'second';
/** Scale and zero point found beforehand. */
export interface FixedScale { readonly scale: number; readonly zeroPoint: number }

const STORAGES: ReadonlySet<ScaleStorage> = new Set<ScaleStorage>(['f32', 'f16', 'p2floor', 'p2up', 'p2near', 'p2even', 'e4m3']);
const LEAST_OUTER = 2 ** -100;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const LARGEST_END = 2 ** 126;

/** Why activations cannot be in a format; null when they can. */
export function activationProblem(format: NumberFormat, place: ChannelPlace): string | null {
  if (!isBlockScaled(format) || format.element.kind === 'codebook') return `${format.id} is no format that activations are rounded to while a model runs: integers and small floats are (int8-sym-tensor, int8-asym-channel, fp8-e4m3-tensor)`;
  if (!STORAGES.has(format.scaleStorage)) return `${format.id}: activations have scales in ${[...STORAGES].join(', ')}, not ${format.scaleStorage}`;
  if (format.granularity?.kind === 'group' && place === 'second') return `${format.id}: groups run along the channels of tokens; what convolutions are applied to has one scale (int8-sym-tensor) or one for each sample (int8-sym-channel)`;
  return null;
}

/**
 * Rounds a value. With `fixed` there is one scale for all; else each block finds its own from its range: with `tensor` formats a
 * sample, with `channel` formats a row of the last dimension (of pictures a sample), with groups a run of channels.
 *
 * @returns the name of the rounded value
 */
export function fakeQuantize(emitter: GraphEmitter, value: string, format: BlockScaledFormat, place: ChannelPlace, fixed: FixedScale | null): string {
  return new Rounding(emitter, format).round(value, place, fixed);
}

class Rounding {
  constructor(private readonly e: GraphEmitter, private readonly format: BlockScaledFormat) {}

  round(value: string, place: ChannelPlace, fixed: FixedScale | null): string {
    const { e, format } = this;
    const { granularity } = format;
    if (granularity === null) return this.element(value, e.scalar(format.castScale), null);
    if (fixed) return this.element(value, e.scalar(fixed.scale), fixed.zeroPoint === 0 ? null : e.scalar(fixed.zeroPoint));
    const rank = e.rank(value);
    const channels = e.shape(value)[rank - 1];
    const grouped = granularity.kind === 'group' && typeof channels === 'number' && channels % granularity.size === 0;
    if (!grouped) return this.blocks(value, granularity.kind === 'tensor' || place === 'second' ? between(1, rank) : [rank - 1]);
    // Leading dimensions are kept (0); the last is split.
    const split = e.reshape(value, [...Array<number>(rank - 1).fill(0), channels / granularity.size, granularity.size]);
    return e.reshape(this.blocks(split, [rank]), [...Array<number>(rank - 1).fill(0), channels]);
  }

  /** Scales over these dimensions. */
  private blocks(value: string, axes: readonly number[]): string {
    const { e, format: { element } } = this;
    const reduced = axes.length > 0 ? axes : [0];
    if (element.kind === 'int' && !element.symmetric) {
      const zero = e.scalar(0);
      const low = this.atLeast(this.atMost(this.extreme('ReduceMin', value, reduced), zero), e.scalar(-LARGEST_END));
      const high = this.atMost(this.atLeast(this.extreme('ReduceMax', value, reduced), zero), e.scalar(LARGEST_END));
      const scale = this.stored(e.sub(high, low), null);
      const point = this.clip(e.same('Round', [e.div(e.neg(low), scale)]), element.low, element.high);
      return this.element(value, scale, point);
    }
    const magnitude = e.same('Abs', [value]);
    const range = this.extreme('ReduceMax', magnitude, reduced);
    return this.element(value, this.stored(range, this.format.scaleStorage === 'e4m3' ? this.outer(magnitude) : null), null);
  }

  /** The scale above the block scales, one for each sample. */
  private outer(magnitude: string): string {
    const { e, format: { element } } = this;
    const all = this.extreme('ReduceMax', magnitude, between(1, e.rank(magnitude)));
    const scale = this.atLeast(e.div(all, e.scalar(element.divisor! * E4M3FN.maxFinite)), e.scalar(LEAST_OUTER));
    return e.where(e.compare('Greater', all, e.scalar(0)), scale, e.scalar(1));
  }

  /** The free scale range / divisor as the format stores it (storedScale). */
  private stored(range: string, outer: string | null): string {
    const { e, format: { element, scaleStorage } } = this;
    const divisor = element.divisor!;
    const orOne = (scale: string): string => e.where(e.compare('Greater', scale, e.scalar(0)), scale, e.scalar(1));
    const free = (): string => e.div(range, e.scalar(divisor));
    switch (scaleStorage) {
      case 'f16': return orOne(e.cast(e.cast(this.atMost(free(), e.scalar(65504)), 'F16'), 'F32'));
      case 'e4m3': return e.mul(this.atLeast(this.minifloat(E4M3FN, e.div(free(), outer!)), e.scalar(2 ** -9)), outer!);
      case 'p2floor': case 'p2up': case 'p2near': case 'p2even': {
        const scale = this.powerOfTwo(range, divisor, scaleStorage);
        return e.where(e.compare('Greater', range, e.scalar(0)), scale, e.scalar(1));
      }
      default: return orOne(free());
    }
  }

  /** In double precision, as the reference works out which power of two a ratio lies at. */
  private powerOfTwo(range: string, divisor: number, mode: 'p2floor' | 'p2up' | 'p2near' | 'p2even'): string {
    const { e, format: { element } } = this;
    const wide = (number: number): string => e.constant('F64', [], [number]);
    const positive = e.where(e.compare('Greater', range, e.scalar(0)), range, e.scalar(1));
    const ratio = e.div(e.cast(positive, 'F64'), wide(divisor));
    const floor = this.floorPower(ratio);
    const doubled = e.mul(floor, wide(2));
    const mantissa = e.div(ratio, floor);
    const up = mode === 'p2floor' ? floor : e.where(e.compare(mode === 'p2even' ? 'GreaterOrEqual' : 'Greater', mantissa, wide(mode === 'p2up' ? 1 : mode === 'p2near' ? Math.SQRT2 : 1.75)), doubled, floor);
    const least = 2 ** leastScaleExponent(element);
    const most = 2 ** Math.min(exponentOf(LARGEST / (divisor + 1)), 127);
    return e.cast(this.atMost(this.atLeast(up, wide(least)), wide(most)), 'F32');
  }

  private element(value: string, scale: string, zeroPoint: string | null): string {
    const { e, format: { element } } = this;
    const t = e.div(value, scale);
    if (element.kind === 'float') return e.mul(this.minifloat(element.spec, t), scale);
    if (element.kind !== 'int') throw new Error(`${this.format.id} has no operators`);
    const rounded = e.same('Round', [t]);
    const code = this.clip(zeroPoint === null ? rounded : e.add(rounded, zeroPoint), element.low, element.high);
    return e.mul(zeroPoint === null ? code : e.sub(code, zeroPoint), scale);
  }

  /** roundToMinifloat: to a multiple of the quantum of its power of two, saturating. */
  private minifloat(spec: MinifloatSpec, t: string): string {
    const { e } = this;
    const clipped = this.clip(t, -spec.maxFinite, spec.maxFinite);
    const magnitude = this.atLeast(e.same('Abs', [clipped]), e.scalar(2 ** (1 - spec.bias)));
    const quantum = e.times(this.floorPower(magnitude), 2 ** -spec.mantissaBits);
    return e.mul(e.same('Round', [e.div(clipped, quantum)]), quantum);
  }

  /**
   * The largest power of two not above a positive value. The logarithm may be off where a value is next to a power of two: then
   * comparing says so. Powers are looked up, because no library promises that pow is exact.
   */
  private floorPower(value: string): string {
    const { e } = this;
    const type = e.type(value);
    const [least, most] = [-149, 128];
    const table = e.constant(type, [most - least + 1], Array.from({ length: most - least + 1 }, (_, i) => (i === most - least && type === 'F32' ? 'Infinity' : 2 ** (i + least))));
    const log = e.times(e.same('Log', [value]), Math.LOG2E);
    const at = e.cast(this.clip(e.plus(e.same('Floor', [log]), -least), 1, most - least - 1), 'I64');
    const found = e.emit('Gather', [table, at], { axis: { int: 0 } }, { type, shape: e.shape(value) });
    const lower = e.where(e.compare('Greater', found, value), e.times(found, 0.5), found);
    const upper = e.times(lower, 2);
    return e.where(e.compare('LessOrEqual', upper, value), upper, lower);
  }

  private clip(value: string, low: number, high: number): string { return this.atMost(this.atLeast(value, this.e.scalar(low, value)), this.e.scalar(high, value)); }
  private atLeast(a: string, b: string): string { return this.e.elementwise('Max', a, b); }
  private atMost(a: string, b: string): string { return this.e.elementwise('Min', a, b); }

  private extreme(op: 'ReduceMax' | 'ReduceMin', value: string, axes: readonly number[]): string {
    const { e } = this;
    const shape = e.shape(value).map((dim, i) => (axes.includes(i) ? 1 : dim));
    const keep = { keepdims: { int: 1 } };
    // Axes became an input in version 18.
    return e.opset >= 18 ? e.emit(op, [value, e.ints(axes)], keep, { type: 'F32', shape }) : e.emit(op, [value], { ...keep, axes: { ints: axes } }, { type: 'F32', shape });
  }
}

const between = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
