/** What the kernel process can be asked. Plain data only: it crosses process borders. */
import type { ScaleRule } from '../formats/format';
import type { DatasetSpec, SyntheticFacts, Task } from '../data/data';
import type { Graph } from '../graph/graph';
import type { LayoutId } from './layouts';
import type { AllocateParams, AllocateResult, CostsParams, CostsResult } from './choices';
import type { ActivationStatistics } from '../run/activation-statistics';
import type { TaskFigures } from '../run/judge';
import type { Observed } from '../run/observed';
import type { JudgedFigures, LabelFigures } from '../run/judging';

export type { AllocateParams, AllocateResult, AllocationChoice, AllocationLayer, CostsParams, CostsResult } from './choices';

/** One weight to work on: a tensor of a checkpoint, and which of its dimensions is the output channel. */
export interface WeightSpec {
  /** Layer path or tensor name: how results are keyed. */
  readonly key: string;
  /** Tensor name exactly as stored in the checkpoint. */
  readonly tensor: string;
  /** 0 for nearly everything; 1 for transposed convolutions, whose weight is [in, out, ...]. */
  readonly outputAxis: number;
  /** Groups of a transposed convolution, whose output channels are split over dimension 0. 1 elsewhere. */
  readonly groups?: number;
}

/** Error of one weight in one format. All measured on the weights alone. */
export interface FormatError {
  readonly mse: number;
  /** 10 log10(sum x^2 / sum e^2); null when there is no error at all (infinite) or no signal. */
  readonly sqnrDb: number | null;
  readonly cosine: number | null;
  readonly bitsPerWeight: number;
  readonly bytes: number;
  readonly scaleRule: ScaleRule;
}

/** Statistics of one weight, over its finite values. */
export interface WeightStatistics {
  readonly count: number;
  readonly nan: number;
  readonly inf: number;
  readonly zeros: number;
  readonly min: number;
  readonly max: number;
  readonly absmax: number;
  readonly mean: number;
  readonly std: number;
  readonly rms: number;
  /** Pearson kurtosis (3 for a normal distribution); null when the variance is zero. */
  readonly kurtosis: number | null;
  /** Share of values further than 6 standard deviations from the mean. */
  readonly outlierShare: number;
  readonly absmaxOverRms: number;
  /** Largest channel absmax over the median channel absmax (dead channels left out). */
  readonly channelRangeSpread: number;
  /** Output channels whose values are all zero; at most 100 are listed. */
  readonly deadChannels: readonly number[];
  readonly deadChannelCount: number;
  /** Output channels that hold one non-zero value only, repeated. */
  readonly constantChannelCount: number;
  /** Share of weights whose z-score exceeds 1 (catalogue: lim-zd, score ZD). */
  readonly zd: number;
  /** Values that fp16 cannot hold: overflow to infinity, or a non-zero value that becomes zero. */
  readonly fp16Overflow: number;
  readonly fp16Underflow: number;
}

export interface WeightScan {
  readonly key: string;
  readonly tensor: string;
  readonly view: { readonly rows: number; readonly cols: number };
  readonly statistics: WeightStatistics;
  /** Format id -> error, in the order asked for. */
  readonly formats: Readonly<Record<string, FormatError>>;
}

export interface ScanParams {
  readonly checkpoint: string;
  readonly weights: readonly WeightSpec[];
  readonly formats: readonly string[];
  readonly scaleRule: ScaleRule;
}
export interface ScanResult {
  readonly weights: readonly WeightScan[];
  /** Weights that could not be scanned, with the reason. */
  readonly skipped: readonly { readonly key: string; readonly reason: string }[];
  readonly elements: number;
  readonly seconds: number;
}

/** One weight in many formats, measured on a sample of its rows. */
export interface FormatSweep {
  /** The sample: whole rows, evenly spaced (of rows that are too long, their beginning). */
  readonly rows: number;
  readonly cols: number;
  readonly ofRows: number;
  readonly ofCols: number;
  /** `best`: no other format costs no more and errs less (the Pareto set). */
  readonly formats: readonly { readonly id: string; readonly bitsPerWeight: number; readonly mse: number; readonly sqnrDb: number | null; readonly best: boolean }[];
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
  /** Bits per weight of the stored type when its exponents are entropy-coded, nothing lost; null for types without exponents. */
  readonly lossless: { readonly entropyBits: number; readonly storedBits: number; readonly compressedBits: number } | null;
}

export interface DetailParams {
  readonly checkpoint: string;
  readonly weight: WeightSpec;
  readonly bins: number;
  /** Format ids to sweep over; nothing is swept when absent. */
  readonly sweep?: readonly string[];
}
export interface DetailResult {
  readonly key: string;
  readonly statistics: WeightStatistics;
  /** `counts[i]` values in [edges[i], edges[i+1]). */
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] };
  /** Per output channel, at most 4096 (evenly thinned beyond that; `index` says which). */
  readonly channels: { readonly index: readonly number[]; readonly min: readonly number[]; readonly max: readonly number[] };
  readonly sweep?: FormatSweep;
}

/** One weight to quantize with a method. */
export interface QuantizeTask extends WeightSpec {
  readonly format: string;
  readonly method: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** A weight that cannot be quantized (no values, not a number, of integers) keeps what it stores, and the result says so; without it the job fails. */
  readonly orKeep?: boolean;
}
/** See layouts.ts. */
export type ExportLayout = LayoutId;
export interface QuantizeParams {
  readonly checkpoint: string;
  readonly tasks: readonly QuantizeTask[];
  readonly seed: number;
  /** When set, a checkpoint is written atomically, read back and compared value by value. */
  readonly export?: {
    readonly path: string;
    /** What suits the file when absent. */
    readonly layout?: ExportLayout;
    /** Of an ONNX model whose weights do not lie in an ONNX file, or whose graph is not that file's. */
    readonly graph?: Graph;
    readonly metadata?: readonly (readonly [string, string])[];
  };
}
export interface QuantizedLayer {
  readonly key: string;
  readonly tensor: string;
  readonly format: string;
  readonly method: string;
  /** Round-to-nearest with absmax scales in the same format: what the method is compared with. */
  readonly before: FormatError;
  readonly after: FormatError;
}
export interface QuantizeResult {
  readonly layers: readonly QuantizedLayer[];
  /** Weights that were not quantized although asked for (`orKeep`), with the reason. */
  readonly kept?: readonly { readonly key: string; readonly reason: string }[];
  readonly weights: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly averageBits: number;
  readonly seconds: number;
  readonly export?: {
    readonly path: string; readonly bytes: number; readonly verifiedTensors: number; readonly sha256: string;
    /** What a reader of the file should know: layers that the layout cannot pack, files written beside it. */
    readonly notes?: readonly string[];
  };
}

/**
 * The order in which a tensor is read to stand beside another program's: as it is, its two dimensions swapped, or the rows of
 * each attention head regrouped: stored in pairs (llama.cpp's order of rotary weights) and read in halves (PyTorch's), or the
 * other way round.
 */
export type TensorView =
  | { readonly kind: 'same' }
  | { readonly kind: 'transposed' }
  | { readonly kind: 'heads'; readonly heads: number; readonly stored: 'pairs' | 'halves' };
/** Pairs of tensors of two checkpoints to compare value by value. */
export interface CompareParams {
  readonly checkpoint: string;
  readonly other: string;
  /** Tensor names of either side, and the order in which the second is read to stand beside the first. */
  readonly pairs: readonly { readonly a: string; readonly b: string; readonly view: TensorView }[];
}
/** What comparing one pair gave. Errors are relative to the first of the two. */
export type ComparedPair =
  | { readonly compared: false; readonly reason: string }
  | {
    readonly compared: true;
    /** Every value equal; NaN stands beside NaN. */
    readonly equal: boolean;
    /** 10 log10(sum a^2 / sum (a - b)^2) over pairs of finite values; null when there is no error or no signal. */
    readonly sqnrDb: number | null;
    readonly maxError: number;
    readonly differing: number;
    /** Of those that differ: pairs of which one is NaN or infinite. */
    readonly nonFinite: number;
  };
export interface CompareResult {
  /** In the order of the pairs. */
  readonly pairs: readonly ComparedPair[];
  readonly elements: number;
  readonly seconds: number;
}

/** A checkpoint to write again in another file format, its weights in a number format when one is asked for. */
export interface ConvertParams {
  readonly checkpoint: string;
  readonly path: string;
  /** `safetensors` when absent. */
  readonly to?: 'safetensors' | 'gguf' | 'onnx';
  /** safetensors: type of floating-point tensors; absent: each keeps its own. */
  readonly dtype?: 'F32' | 'F16' | 'BF16';
  /** Number format of the weights (in a GGUF file one of its types: `q4_k`). */
  readonly format?: string;
  /** PTQ method; round-to-nearest when absent. GGUF types bring their own. */
  readonly method?: string;
  /** How safetensors and ONNX hold quantized weights. */
  readonly layout?: ExportLayout;
  /** Of the model whose weights these are, for an ONNX model of a checkpoint that has none. */
  readonly graph?: Graph;
  /** Pairs for the metadata of that model. */
  readonly metadata?: readonly (readonly [string, string])[];
}
export interface ConvertedWeight {
  /** Name in the file that was written. */
  readonly tensor: string;
  readonly type: string;
  readonly bits: number;
  /** Against the values that were read; null when there is no error. */
  readonly sqnrDb: number | null;
  readonly weights: number;
}
export interface ConvertResult {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly verifiedTensors: number;
  /** Quantized weights that were written as the values they stand for. */
  readonly decoded: number;
  /** Tensors that were left out: their values cannot be read, or the file format cannot hold them. */
  readonly left: readonly string[];
  readonly quantized: readonly ConvertedWeight[];
  /** Floating-point tensors that keep their values although a number format was asked for, with the reason. */
  readonly kept: readonly { readonly key: string; readonly reason: string }[];
  /** Weights in another type than the one asked for. */
  readonly fallbacks: readonly { readonly tensor: string; readonly type: string; readonly reason: string }[];
  readonly notes: readonly string[];
  readonly seconds: number;
}

/** A graph to write as an ONNX model. */
export interface OnnxParams {
  readonly graph: Graph;
  readonly checkpoint: string;
  readonly path: string;
  readonly metadata?: readonly (readonly [string, string])[];
}
export interface OnnxResult {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly nodes: number;
  readonly initializers: number;
  /** The data file beside the model, where it has one. */
  readonly data?: string;
  /** True when onnxruntime loaded it; null when it is not there to ask. */
  readonly runs: boolean | null;
}

/** A graph whose values need types: parts of it are to be run. */
export interface TypesParams {
  readonly graph: Graph;
  readonly checkpoint: string;
}
export interface TypesResult {
  /** The same graph with all the types that onnxruntime can tell. */
  readonly graph: Graph;
}

/** A model to run on data. */
export interface ModelRun {
  readonly graph: Graph;
  readonly checkpoint: string;
  readonly task: Task;
  readonly data: DatasetSpec;
  /** The first so many samples; all when absent. */
  readonly samples?: number;
}
/** What figures rest on. */
export interface UsedData {
  /** The data, in words. */
  readonly data: string;
  /** How it was made up; absent where it is real. */
  readonly synthetic?: SyntheticFacts;
}
/** A mean over samples with its standard error; null from a single sample. */
export interface MeasuredMean { readonly value: number; readonly stderr: number | null }

export type EvaluateParams = ModelRun;
export interface EvaluateResult extends TaskFigures, UsedData {
  readonly samples: number;
  readonly seconds: number;
}

/** Outputs measured with one layer in one format, all others as they are. */
export interface SensitivityParams extends ModelRun {
  readonly weights: readonly WeightSpec[];
  readonly formats: readonly string[];
  readonly metric: string;
  readonly scaleRule: ScaleRule;
}
export interface LayerSensitivity extends MeasuredMean {
  /** Task loss and accuracy with this layer quantized, where there are labels. */
  readonly loss?: number;
  readonly accuracy?: number;
  readonly bitsPerWeight: number;
}
export interface SensitivityResult extends UsedData {
  readonly metric: string;
  readonly unit: string;
  /** The unquantized model's. */
  readonly baseline: { readonly loss: number | null; readonly accuracy: number | null };
  readonly layers: readonly {
    readonly key: string;
    /** What a metric that gives one figure per layer gives; `formats` hold it times the noise-to-signal ratio of the weight. */
    readonly figure?: MeasuredMean;
    readonly formats: Readonly<Record<string, LayerSensitivity>>;
  }[];
  readonly skipped: readonly { readonly key: string; readonly reason: string }[];
  /** 0 for metrics that rest on no data. */
  readonly samples: number;
  readonly seconds: number;
}
/** Proxies: figures of one run of the unquantized model, any number of metrics at once. */
export interface ProxiesParams extends ModelRun {
  readonly weights: readonly WeightSpec[];
  readonly formats: readonly string[];
  readonly metrics: readonly string[];
  readonly scaleRule: ScaleRule;
}
export interface ProxiesResult {
  /** In the order of the metrics, without those that are refused: they say nothing about this model or its data. */
  readonly results: readonly SensitivityResult[];
  readonly refused: readonly { readonly metric: string; readonly reason: string }[];
}

/** Weights to quantize, with data to calibrate on and data to judge on. */
export interface TrialParams extends ModelRun {
  readonly tasks: readonly QuantizeTask[];
  /** Needed by methods that calibrate. */
  readonly calibration: { readonly data: DatasetSpec; readonly samples?: number } | null;
  /** Layers are calibrated one after another, each on what the quantized layers before it give. */
  readonly sequential: boolean;
  /** Before weights are quantized, one after another. */
  readonly transforms?: readonly MethodChoice[];
  /** What layers are applied to, rounded while the model runs. */
  readonly activations?: {
    readonly layers: readonly { readonly key: string; readonly tensor: string; readonly format: string }[];
    /** How ranges are found beforehand; by least squared error when absent. */
    readonly range?: MethodChoice;
  };
  /** After weights and activations are quantized, one after another. */
  readonly corrections?: readonly MethodChoice[];
  readonly seed: number;
  readonly export?: QuantizeParams['export'];
}
/** A method with its options. */
export interface MethodChoice { readonly method: string; readonly options?: Readonly<Record<string, unknown>> }
/** What a transform or a correction changed. */
export interface TrialStep {
  readonly kind: 'transform' | 'correction';
  readonly method: string;
  /** Places that were changed, of those where it could have been. */
  readonly places: number;
  readonly of: number;
  readonly seconds: number;
}
export interface TrialResult extends UsedData {
  readonly before: LabelFigures;
  readonly after: JudgedFigures;
  readonly layers: readonly QuantizedLayer[];
  readonly kept?: QuantizeResult['kept'];
  readonly weights: number;
  readonly bytesBefore: number;
  readonly bytes: number;
  readonly averageBits: number;
  readonly samples: number;
  readonly steps?: readonly TrialStep[];
  /** The transformed model beside the original, before anything is quantized: the largest difference of an output over the largest output. */
  readonly equivalence?: { readonly difference: number; readonly samples: number };
  /** Layers whose inputs are rounded, and how their ranges were found. */
  readonly activations?: { readonly layers: readonly { readonly key: string; readonly format: string }[]; readonly range: string };
  /** Null when no method needed it. */
  readonly calibration: UsedData & { readonly samples: number; readonly seconds: number } | null;
  /** What a reader of the figures should know. */
  readonly notes: readonly string[];
  readonly seconds: number;
  readonly export?: QuantizeResult['export'];
}

/** What the values of a model look like on data. */
export interface ActivationsParams extends ModelRun {
  readonly weights: readonly WeightSpec[];
}
export interface ObservedValue extends Omit<Observed, 'channelAxis'> { readonly statistics: ActivationStatistics }
export interface ActivationsResult extends UsedData {
  /** In the order of the weights, then of the graph; a value may have several roles. */
  readonly values: readonly ObservedValue[];
  readonly samples: number;
  readonly seconds: number;
}

/** Recipes to compare on the same data, weights rounded to nearest. */
export interface JudgeParams extends ModelRun {
  readonly weights: readonly WeightSpec[];
  /** Format id of each weight by key; those not named stay as they are. */
  readonly recipes: readonly { readonly title: string; readonly formats: Readonly<Record<string, string>> }[];
  readonly scaleRule: ScaleRule;
}
export interface JudgedRecipe extends JudgedFigures { readonly title: string; readonly bits: number }
export interface JudgeResult extends UsedData {
  /** The unquantized model's. */
  readonly baseline: { readonly loss: number | null; readonly accuracy: number | null };
  readonly recipes: readonly JudgedRecipe[];
  readonly samples: number;
  readonly seconds: number;
}

/** Every job kind with its parameters and result. */
export interface JobTypes {
  scan: { params: ScanParams; result: ScanResult };
  detail: { params: DetailParams; result: DetailResult };
  allocate: { params: AllocateParams; result: AllocateResult };
  quantize: { params: QuantizeParams; result: QuantizeResult };
  compare: { params: CompareParams; result: CompareResult };
  convert: { params: ConvertParams; result: ConvertResult };
  onnx: { params: OnnxParams; result: OnnxResult };
  evaluate: { params: EvaluateParams; result: EvaluateResult };
  sensitivity: { params: SensitivityParams; result: SensitivityResult };
  proxies: { params: ProxiesParams; result: ProxiesResult };
  trial: { params: TrialParams; result: TrialResult };
  judge: { params: JudgeParams; result: JudgeResult };
  activations: { params: ActivationsParams; result: ActivationsResult };
  types: { params: TypesParams; result: TypesResult };
  costs: { params: CostsParams; result: CostsResult };
}
export type JobKind = keyof JobTypes;

/** Kinds that nobody waits for at the keyboard: a queued one lets the others go first. */
export const backgroundJobs: ReadonlySet<JobKind> = new Set<JobKind>(['scan']);

export interface JobProgress {
  readonly done: number;
  readonly total: number;
  readonly message: string;
  /** Seconds to go, estimated from committed work; absent before 5 % is done. */
  readonly secondsLeft?: number;
}

/** Bad parameters or input: shown to the user as it is, never retried, never counted as a crash. */
export class JobError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'JobError';
  }
}
export class JobCancelled extends Error {
  constructor() {
    super('cancelled');
    this.name = 'JobCancelled';
  }
}

/** What a job may use while it runs. */
export interface JobContext {
  /** Shared with the workers; polled in hot loops at least every 8 MiB or 5 ms. */
  readonly cancelFlag: Int32Array;
  /** Throws JobCancelled once cancelled. */
  throwIfCancelled(): void;
  progress(done: number, total: number, message: string): void;
  /** Says that unfinished files (see checkpoint/unfinished.ts) may lie in this folder: they go when the job is ended from outside. */
  writesInto(folder: string): void;
  /** Runs tasks on the worker threads, largest first, results in task order. Rejects with the first failure. */
  map<Task, Result>(kind: string, tasks: readonly Task[], weight: (task: Task) => number, onDone?: (index: number, result: Result) => void): Promise<Result[]>;
  readonly memoryCapBytes: number;
  readonly threads: number;
}
export interface Job<K extends JobKind = JobKind> {
  readonly kind: K;
  run(params: JobTypes[K]['params'], context: JobContext): Promise<JobTypes[K]['result']>;
}
