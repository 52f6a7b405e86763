/**
 * Methods: one file each under methods/<kind>/, registered under their catalogue id (registry.ts).
 * The command line, the pickers, the report and the docs are derived from the registry.
 */
import type { BlockScaledFormat, NumberFormat, Quantized, ScaleRule, WeightView } from '../formats/format';
import type { WeightLayout } from '../formats/blocks';
import type { Task } from '../data/data';
import type { Graph } from '../graph/graph';
import type { Feed } from '../run/feed';
import type { PreparedModel } from '../run/prepared-model';
import type { ValueHistogram } from '../run/value-histogram';
import type { AppliedShape } from '../run/applied-shapes';
import type { Estimate, SampleScore } from '../run/judge';
import type { Made, Synthesis } from '../synthetic/synthesis';
import type { AllocateParams, AllocateResult, FormatError, WeightStatistics } from '../jobs/job';

export type MethodNeeds = 'weights' | 'graph' | 'hardware' | 'calibration' | 'gradients' | 'training';

/** One parameter of a method, as a schema: type, default and range. */
export type ParameterSchema =
  | { readonly type: 'number'; readonly default: number; readonly minimum: number; readonly maximum: number; readonly description: string }
  | { readonly type: 'integer'; readonly default: number; readonly minimum: number; readonly maximum: number; readonly description: string }
  | { readonly type: 'boolean'; readonly default: boolean; readonly description: string }
  | { readonly type: 'enum'; readonly default: string; readonly values: readonly string[]; readonly description: string };

interface MethodBase {
  readonly id: string;
  readonly title: string;
  /** Paper or specification. */
  readonly source: string;
  readonly needs: MethodNeeds;
  /** Catalogue rows this method realises. */
  readonly catalogue: readonly string[];
  readonly parameters: Readonly<Record<string, ParameterSchema>>;
}

/** What calibration saw at the input of one group of output channels. */
export interface InputGroup {
  /** X^T X / positions, [cols, cols] row-major, symmetric: the second moment of the inputs. */
  readonly moment: Float64Array;
  /** Mean of each input, [cols]. */
  readonly mean: Float64Array;
}
/**
 * What calibration saw at the inputs of one weight. For convolutions an input is a patch, flattened as the kernel is. A quadratic
 * loss of the layer's output is a function of the moments alone: mean |(W - W')x|^2 = trace((W - W') M (W - W')^T).
 */
export interface LayerInputs {
  /** Input vectors seen: samples x positions. Above 0. */
  readonly positions: number;
  /** One per run of rows / groups.length consecutive output channels: one for dense layers, more for grouped convolutions. */
  readonly groups: readonly InputGroup[];
  /**
   * When the inputs are those of an already quantized model: the weight that, applied to them, comes closest to what the
   * unquantized layer gives on the unquantized inputs. Methods approximate it instead of the weight.
   */
  readonly target?: Float32Array;
}

/** Turns a weight and a format into codes and scales. */
export interface PtqMethod extends MethodBase {
  readonly kind: 'ptq';
  /** The scale rule a streaming pass can use instead of `run`; null when the method needs the whole weight. */
  readonly scaleRule: ScaleRule | null;
  /**
   * @param inputs there when the method `needs` calibration
   * @param poll called now and then; throws when the work is cancelled
   */
  run(weights: Float32Array, view: WeightView, format: NumberFormat, options: Readonly<Record<string, unknown>>, inputs?: LayerInputs | null, poll?: () => void): Quantized | Promise<Quantized>;
}

/** Where a layer lies in its model. */
export interface LayerPlace {
  readonly path: string;
  /** 0 for the first of the model's layers, 1 for the last. */
  readonly depth: number;
}

/** Turns a measured error into one number per (layer, format): lower is better, additive over layers. Rests on no data. */
export interface SensitivityMetric extends MethodBase {
  readonly kind: 'sensitivity';
  readonly unit: string;
  score(statistics: WeightStatistics, error: FormatError, place: LayerPlace): number;
}

/** A sensitivity measured by running the model on data with layers quantized: lower is better. */
export interface MeasuredMetric extends MethodBase {
  readonly kind: 'sensitivity';
  readonly unit: string;
  /** Whose output is compared: the model's, or the layer's own. */
  readonly observes: 'model' | 'layer';
  /** One layer is quantized and all others are not, or the other way round; or one layer is pruned, at several sparsities. */
  readonly changes: 'one' | 'all-but-one' | 'pruned';
  /** Needs labels (or tokens to predict). */
  readonly labels: boolean;
  /** Tasks it is defined for; null: all. */
  readonly tasks: readonly Task[] | null;
  /** @param base the same samples without the change */
  score(samples: readonly SampleScore[], base: readonly SampleScore[]): Estimate;
}

/** A value of the model on one sample: `data` is [positions, channels], row-major. */
export interface SampleRows { readonly data: Float32Array; readonly positions: number; readonly channels: number }
/** A layer as proxies see it. */
export interface ProxyLayer {
  readonly key: string;
  readonly formats: readonly {
    /** Bits of one code. */
    readonly codeBits: number;
    /** sum e^2 / sum w^2 of the weight in the format. */
    readonly nsr: number;
    /** sum e^2 over the weights that each channel of the input is multiplied by. */
    readonly channelErrors: Float64Array;
  }[];
}
/**
 * A sensitivity read off one run of the unquantized model: lower is better. It looks at what layers take or give, or at what goes
 * into and out of the repeated block that a layer is part of.
 */
export interface ProxyMetric extends MethodBase {
  readonly kind: 'sensitivity';
  readonly unit: string;
  /** A figure for each layer in each format; or one for each layer, which formats weigh with their noise-to-signal ratio. */
  readonly per: 'format' | 'layer';
  readonly looksAt: 'input' | 'output' | 'block';
  /** Samples without which the figure says nothing. */
  readonly leastSamples: number;
  open(layers: readonly ProxyLayer[], folds: number): ProxyRun;
}
export interface ProxyRun {
  /** @param after what comes out of the block whose input `rows` is; absent when a single value is looked at */
  add(layer: number, fold: number, rows: SampleRows, after?: SampleRows): void;
  /**
   * @param without a fold that is left out; null for none
   * @param poll throws when the work is cancelled
   * @returns per layer, the figure of each format, or the one figure
   */
  scores(without: number | null, poll: () => void): number[][];
}

/** Turns measurements and a budget into one format per layer. */
export interface Allocator extends MethodBase {
  readonly kind: 'allocation';
  run(params: AllocateParams, throwIfCancelled: () => void): AllocateResult;
}

/** A layer whose cost is asked for: its weight, and every place where the model applies it. */
export interface CostedLayer { readonly view: WeightView; readonly shapes: readonly AppliedShape[] }
export interface LayerCost {
  /** Adds up over layers. */
  readonly value: number;
  /** Counted from shapes, measured on this machine, or estimated from what was measured. */
  readonly basis: 'counted' | 'measured' | 'estimated';
  /** What a measured value varies by: half the distance between its quartiles. */
  readonly spread?: number;
  /** What was run. */
  readonly operator?: string;
}
export interface CostRun {
  readonly threads: number;
  throwIfCancelled(): void;
  progress(done: number, total: number, message: string): void;
}
/** What a model takes beside bytes, layer by layer and format by format: what allocations are limited by. */
export interface CostModel extends MethodBase {
  readonly kind: 'cost';
  /** What people give limits in, and how many whole numbers of `value` that is. */
  readonly unit: string;
  readonly perUnit: number;
  /** @returns per layer and format, in order; values are whole numbers above or equal to 0 */
  run(layers: readonly CostedLayer[], formats: readonly NumberFormat[], options: Readonly<Record<string, unknown>>, run: CostRun): Promise<LayerCost[][]>;
}

/** Makes up samples for a model that has no data. */
export interface Generator extends MethodBase {
  readonly kind: 'calibration';
  /** Samples that are made when no number is named. */
  readonly usual: number;
  /** Why the method cannot make samples for this model; null when it can. */
  refuses(target: Synthesis): string | null;
  /** The same seed makes the same samples, bit for bit. @throws what `throwIfCancelled` throws */
  run(target: Synthesis): Promise<Made>;
}

/** A weight that is going to be quantized. */
export interface TransformLayer {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly layout: WeightLayout;
  readonly format: NumberFormat;
  /** Format of what it is applied to; null for floating point. */
  readonly activations?: NumberFormat | null;
}
/** A model on data that methods change as a whole. */
export interface ModelWork {
  readonly model: PreparedModel;
  readonly layers: readonly TransformLayer[];
  /** Calibration data; null for methods that need none. */
  readonly feed: Feed | null;
  readonly indices: readonly number[];
  readonly task: Task;
  readonly output: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Bytes that kept values may take. */
  readonly memory: number;
  /** Called between runs; throws when cancelled. @param share of the work that is done, 0 to 1 */
  readonly step: (share: number) => void;
}
/** What became of a model, and at how many of the places where it could have happened. */
export interface Changed {
  readonly graph?: Graph;
  /** Values of tensors that are others now, in storage order. */
  readonly changed: ReadonlyMap<string, Float32Array>;
  readonly places: number;
  readonly of: number;
  /** What a reader should know, such as why places were left out. */
  readonly notes: readonly string[];
}
/** Rewrites a model so that it computes the same and loses less when it is quantized. */
export interface Transform extends MethodBase {
  readonly kind: 'transform';
  /** Puts operators before layers, which weights alone cannot hold. */
  readonly turnsInputs?: boolean;
  run(work: ModelWork): Promise<Changed & {
    /** Weights in a basis of their own, and the way back to the model's: what a quantized weight is for those who do not turn its inputs. */
    readonly back?: ReadonlyMap<string, (matrix: Float32Array) => Float32Array>;
  }>;
}
/** Finds the range that a quantized activation covers, from the values seen on calibration data. */
export interface RangeMethod extends MethodBase {
  readonly kind: 'range';
  /** Each block finds its range while the model runs: nothing is calibrated. */
  readonly dynamic: boolean;
  run(values: ValueHistogram, format: BlockScaledFormat, options: Readonly<Record<string, unknown>>): { readonly minimum: number; readonly maximum: number };
}
/** Makes up for what quantization did, in the parameters that stay in floating point. */
export interface Correction extends MethodBase {
  readonly kind: 'correction';
  /** @param work its model is the quantized one @param original what it was made of */
  run(work: ModelWork, original: PreparedModel): Promise<Changed>;
}

export type Method = CostModel | Generator | PtqMethod | Transform | RangeMethod | Correction | SensitivityMetric | MeasuredMetric | ProxyMetric | Allocator;
type AnyMetric = SensitivityMetric | MeasuredMetric | ProxyMetric;

/** Is the metric one that runs the model with layers changed? */
export function isMeasured(metric: AnyMetric): metric is MeasuredMetric {
  return 'observes' in metric;
}
/** Is the metric one that looks at the unquantized model on data? */
export function isProxy(metric: AnyMetric): metric is ProxyMetric {
  return 'looksAt' in metric;
}
