/**
 * Every message between the editor and the server beyond the Language Server Protocol, and the data the webviews show.
 * Types and method names only: extension/ and media/ import this file and nothing else of the server.
 * docs/protocol.md describes each one; a test holds the two together.
 * Names in these messages come from untrusted files: they are shown as text, never as markup, and maps are arrays of pairs
 * or null-prototype records.
 */
import type { SyntheticFacts } from '../kernels/data/data';
import type { EvaluateResult, FormatError, FormatSweep, JobProgress, SensitivityResult, WeightStatistics } from '../kernels/jobs/job';
import type { LayoutId } from '../kernels/jobs/layouts';
import type { Recipe } from '../kernels/recipe/recipe';

export { EXPORT_LAYOUTS, type LayoutId } from '../kernels/jobs/layouts';

export type { EvaluateResult, FormatError, JobProgress, Recipe, SensitivityResult, WeightStatistics };

export interface Range {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/** Names the model a request is about: a source document, optionally one class in it. */
export interface ModelTarget {
  readonly uri: string;
  readonly root?: string;
}

export interface LayerRow {
  readonly path: string;
  readonly className: string;
  readonly uri: string;
  readonly range: Range;
  readonly linked: boolean;
  /** Tensor name in the checkpoint, dtype and shape of the weight; null when the layer has no weight to quantize. */
  readonly weight: { readonly tensor: string; readonly dtype: string; readonly shape: readonly number[] } | null;
  readonly parameters: number;
  readonly bytes: number;
  /** Format the recipe gives, else the suggested one; null when neither is known. */
  readonly format: string | null;
  readonly formatSource: 'recipe' | 'suggested' | null;
  readonly bitsPerWeight: number | null;
  readonly bytesAfter: number | null;
  /** SQNR at `format`, measured on the weights. */
  readonly sqnrDb: number | null;
  readonly tiedTo: string | null;
  readonly findings: readonly FindingRow[];
}

export interface FindingRow {
  readonly code: string;
  readonly severity: 'error' | 'warning' | 'information' | 'hint';
  readonly message: string;
}

export interface ModelSummary {
  readonly target: ModelTarget;
  readonly root: string | null;
  readonly rootReason: string;
  readonly rootCandidates: readonly string[];
  readonly checkpoint: string | null;
  readonly checkpointMessage: string | null;
  readonly recipe: string | null;
  readonly data: NamedData;
  readonly measurements: 'none' | 'pending' | 'ready' | 'failed';
  readonly evidence: string;
  readonly layers: readonly LayerRow[];
  readonly unlinkedTensors: readonly string[];
  readonly missingTensors: readonly string[];
  readonly parameters: number;
  readonly bytes: number;
  readonly bytesAfter: number | null;
  readonly averageBits: number | null;
}

/** What the sensitivity report shows: also the content of the exported JSON and of the self-contained HTML file. */
export interface ReportData {
  readonly version: 1;
  readonly title: string;
  readonly generatedAt: string;
  readonly target: { readonly source: string; readonly root: string; readonly rootReason: string; readonly checkpoint: string; readonly identity: string };
  /** One sentence: where the numbers come from. */
  readonly evidence: string;
  readonly formats: readonly { readonly id: string; readonly title: string; readonly codeBits: number }[];
  /** Cells below this SQNR are marked: the threshold of finding BL101. */
  readonly thresholdDb: number;
  readonly layers: readonly ReportLayer[];
  readonly metric: { readonly id: string; readonly title: string; readonly unit: string };
  /** Metrics measured by running the model; absent until one was. */
  readonly sensitivities?: readonly ReportSensitivity[];
  /** Optimal objective against size; `chosen` indexes `points`. */
  readonly curve: {
    readonly points: readonly { readonly bytes: number; readonly averageBits: number; readonly objective: number }[];
    readonly chosen: number | null;
    readonly uniform: readonly { readonly format: string; readonly bytes: number; readonly averageBits: number; readonly objective: number }[];
  };
  readonly totals: { readonly layers: number; readonly weights: number; readonly bytes: number; readonly bytesAfter: number | null; readonly averageBits: number | null };
  readonly unlinkedTensors: readonly string[];
  readonly notes: readonly string[];
}
/** What quantizing each layer did to the model's output, beside what the weights alone say. */
export interface ReportSensitivity {
  readonly metric: string;
  readonly title: string;
  readonly unit: string;
  readonly formats: readonly string[];
  /** By layer path: mean and standard error in each of the formats; null where it was not measured. */
  readonly layers: readonly { readonly path: string; readonly values: readonly ({ readonly value: number; readonly stderr: number | null } | null)[] }[];
  readonly samples: number;
  readonly data: string;
  /** Kendall's tau-b between the layers' order by each other metric and by this one, both in `formats[format]`; null when there is no order. */
  readonly agreement: readonly { readonly metric: string; readonly title: string; readonly format: string; readonly tau: number | null }[];
}
export interface ReportLayer {
  readonly path: string;
  readonly className: string;
  readonly file: string;
  readonly line: number;
  readonly tensor: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly weights: number;
  readonly bytes: number;
  readonly statistics: WeightStatistics;
  /** In the order of ReportData.formats; null where a format was not measured. */
  readonly errors: readonly (FormatError | null)[];
  /** Format of the recipe, else of the allocation shown; null when none. */
  readonly format: string | null;
  readonly tiedTo: string | null;
  readonly findings: readonly FindingRow[];
  /** Present in exports, fetched on demand in the editor. */
  readonly detail?: LayerDetail;
}
export interface LayerDetail {
  readonly path: string;
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] };
  readonly channels: { readonly index: readonly number[]; readonly min: readonly number[]; readonly max: readonly number[] };
  /** Every format on a sample of the weight; absent until it is asked for. */
  readonly sweep?: FormatSweep;
}

export interface AllocationRequest extends ModelTarget {
  /** Size: at most one of the two. */
  readonly bits?: number;
  readonly bytes?: number;
  /** Bit operations, and milliseconds on this machine, of one sample; each alone or beside a size. */
  readonly bops?: number;
  readonly latency?: number;
  /** Kinds of layers that must share a format: `qkv`, `gate-up`, `residual`, `all`. */
  readonly couple?: readonly string[];
  readonly metric?: string;
  readonly formats?: readonly string[];
  /** Of metrics that run the model: samples to measure layers on, and to judge recipes on. */
  readonly calibrationSamples?: number;
  readonly samples?: number;
  /** Path to write the recipe to; not written when absent. */
  readonly out?: string;
}
export interface AllocationSummary {
  readonly averageBits: number;
  readonly bytes: number;
  readonly objective: number;
  readonly optimal: boolean;
  readonly uniform: { readonly format: string; readonly objective: number; readonly bytes: number } | null;
  readonly layers: readonly AllocatedLayer[];
  /** Costs beside size, where a limit of one was given. */
  readonly costs?: readonly AllocatedCost[];
  /** Layers that were given one format together. */
  readonly coupled?: readonly { readonly kind: string; readonly layers: readonly string[]; readonly by: 'graph' | 'names' }[];
  readonly note: string | null;
  readonly recipe: Recipe;
  readonly recipePath: string | null;
  /** Of allocations on metrics that run the model. */
  readonly judgement?: AllocationJudgement;
}

export interface AllocatedLayer {
  readonly path: string;
  readonly format: string;
  readonly bitsPerWeight: number;
  readonly sqnrDb: number | null;
  /** Multiply-accumulate operations of one sample, and costs by id in their units; where a limit of a cost was given. */
  readonly macs?: number;
  readonly costs?: Readonly<Record<string, { readonly value: number; readonly basis: 'counted' | 'measured' | 'estimated'; readonly spread?: number; readonly operator?: string }>>;
}
export interface AllocatedCost {
  readonly id: string;
  readonly unit: string;
  readonly value: number;
  readonly limit: number | null;
  /** Of the uniform recipe; null when there is none. */
  readonly uniform: number | null;
  /** Layers whose cost is an estimate. */
  readonly estimated: number;
}

/** A recipe and its rivals of at most the same size, each as a whole on the same data. */
export interface AllocationJudgement {
  readonly baseline: { readonly loss: number | null; readonly accuracy: number | null };
  /** The allocation first. */
  readonly recipes: readonly { readonly title: string; readonly loss: number | null; readonly accuracy: number | null; readonly kl: number | null; readonly nsr: number; readonly bytes: number }[];
  readonly samples: number;
  readonly data: string;
  /** How the data was made up; absent where it is real. */
  readonly synthetic?: SyntheticFacts;
  /** What no recipe takes more of than the allocation: size, bit operations, latency. */
  readonly within: readonly string[];
}

export interface QuantizeLayerRequest extends ModelTarget {
  readonly path: string;
  readonly format: string;
  readonly method: string;
}
export interface QuantizeLayerSummary {
  readonly path: string;
  readonly format: string;
  readonly method: string;
  readonly before: FormatError;
  readonly after: FormatError;
  readonly bytesBefore: number;
  readonly seconds: number;
  readonly evidence: string;
  readonly judged?: JudgedTrial;
}

/** The model's output before and after, where it was run on data. */
export interface JudgedTrial {
  readonly before: { readonly loss: number | null; readonly accuracy: number | null };
  /** `kl`: divergence from the unquantized model in nats, of tasks with classes; `nsr`: noise to signal of the output. */
  readonly after: { readonly loss: number | null; readonly accuracy: number | null; readonly kl: number | null; readonly nsr: number };
}

export interface TrialRequest extends ModelTarget {
  /** Path of a recipe file; or one format for every layer. */
  readonly recipe?: string;
  readonly format?: string;
  readonly method?: string;
  /** Only these layers. */
  readonly layers?: readonly string[];
  /** Ids of transforms before quantization, in order, and of corrections after it. */
  readonly transforms?: readonly string[];
  readonly corrections?: readonly string[];
  /** Format that inputs of layers are rounded to, and how ranges are found. */
  readonly activations?: string;
  readonly range?: string;
  readonly out?: string;
  /** What suits the file when absent. */
  readonly layout?: LayoutId;
}
export interface TrialSummary {
  readonly id: string;
  readonly startedAt: string;
  readonly title: string;
  readonly layers: readonly { readonly path: string; readonly format: string; readonly method: string; readonly before: FormatError; readonly after: FormatError }[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly averageBits: number;
  readonly seconds: number;
  readonly evidence: string;
  readonly export: { readonly path: string; readonly bytes: number; readonly verifiedTensors: number; readonly sha256: string; readonly notes?: readonly string[] } | null;
  readonly judged?: JudgedTrial;
}

/** Which data bitlens.json names for a model, as file names (or that it is synthetic), and the metric that suits its task. */
export interface NamedData { readonly task: string | null; readonly calibration: string | null; readonly evaluation: string | null; readonly metric: string }

/** What a run over the data showed: findings carry the rest. */
export interface ActivationsSummary { readonly places: number; readonly findings: number; readonly samples: number; readonly seconds: number; readonly data: string }

/** How well each sensitivity metric orders random recipes of about one size by what they really lose. */
export interface Scorecard {
  readonly seed: number;
  readonly formats: readonly string[];
  readonly baseline: { readonly loss: number | null; readonly accuracy: number | null };
  readonly recipes: readonly { readonly formats: Readonly<Record<string, string>>; readonly bits: number; readonly loss: number | null; readonly accuracy: number | null; readonly kl: number | null; readonly nsr: number }[];
  /** What `metrics` are ordered by. */
  readonly against: 'kl' | 'loss' | 'nsr';
  /** The best first: Kendall's tau against each figure that was measured, the layers that the metric covers, and what it took. */
  readonly metrics: readonly {
    readonly metric: string; readonly basis: 'data' | 'weights';
    readonly tau: Readonly<Partial<Record<'kl' | 'loss' | 'nsr', number | null>>>;
    readonly layers: number; readonly of: number;
    /** Proxies are read off one run together: the time is that of all of them. */
    readonly seconds: number;
  }[];
  /** Metrics that say nothing about this model or its data, with the reason. */
  readonly refused: readonly { readonly metric: string; readonly reason: string }[];
  /** Standard deviation of tau between orders that have nothing to do with each other. */
  readonly chance: number;
  /** Samples and data that recipes were judged on; `measuredOn` is what metrics looked at, null when none needed any. */
  readonly samples: number;
  readonly data: string;
  readonly synthetic?: EvaluateResult['synthetic'];
  readonly measuredOn: string | null;
  readonly secondsJudging: number;
}
export interface ScorecardRequest extends ModelTarget {
  readonly metrics?: readonly string[];
  readonly formats?: readonly string[];
  readonly recipes?: number;
  readonly samples?: number;
}

export interface EvaluateRequest extends ModelTarget { readonly samples?: number }
export interface SensitivityRequest extends ModelTarget {
  readonly metric?: string;
  readonly formats?: readonly string[];
  readonly samples?: number;
}

export interface CheckpointSummary {
  readonly path: string;
  readonly format: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[]; readonly bytes: number; readonly float: boolean; readonly format?: string }[];
  /** Weights that several of the tensors stand for together (quantized layouts), or one under another name (GGUF). */
  readonly weights?: readonly (CheckpointSummary['tensors'][number] & { readonly replaces: readonly string[] })[];
  readonly problems: readonly { readonly code: string; readonly grade: string; readonly message: string; readonly fix: string; readonly offset?: number }[];
  readonly imports: readonly { readonly module: string; readonly name: string; readonly kind: string }[];
  readonly metadata: readonly (readonly [string, string])[];
}
/** Two checkpoints, tensor by tensor. */
export interface CheckpointDiff {
  readonly a: { readonly path: string; readonly format: string };
  readonly b: { readonly path: string; readonly format: string };
  /** What cannot be compared, then what differs from the worst on, then what is equal. */
  readonly rows: readonly DiffRow[];
  readonly onlyA: readonly DiffSide[];
  readonly onlyB: readonly DiffSide[];
  /** How names were brought together, in words. */
  readonly mapping: readonly string[];
  /** Every tensor has its partner, and every value is equal. */
  readonly equal: boolean;
  readonly counts: { readonly equal: number; readonly different: number; readonly onlyA: number; readonly onlyB: number };
  readonly seconds: number;
}
export interface DiffSide { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }
export interface DiffRow {
  readonly a: DiffSide;
  readonly b: DiffSide;
  readonly by: 'name' | 'prefix' | 'known names' | 'values';
  /** Set where the second stores the values in another order. */
  readonly order?: 'transposed' | 'heads';
  readonly equal: boolean;
  /** Null where there is no error, no signal, or nothing was compared. */
  readonly sqnrDb: number | null;
  readonly maxError: number | null;
  /** Values that differ; null when they were not compared. */
  readonly differing: number | null;
  readonly reason?: string;
}
export interface TensorDetail {
  readonly name: string;
  readonly statistics: WeightStatistics;
  readonly detail: LayerDetail;
  readonly formats: readonly { readonly id: string; readonly error: FormatError }[];
}

export interface FormatEntry { readonly id: string; readonly title: string; readonly bitsPerWeight: number; readonly catalogue: readonly string[] }
export interface MethodEntry { readonly id: string; readonly kind: string; readonly title: string; readonly needs: string; readonly catalogue: readonly string[] }

export interface ServerStatus {
  readonly state: 'idle' | 'reading' | 'measuring' | 'trial' | 'error';
  readonly message: string;
  readonly progress?: JobProgress;
  readonly kernel: 'stopped' | 'starting' | 'ready' | 'busy' | 'failed';
}

/** Request name -> parameters and result. Long ones take a workDoneToken and can be cancelled. */
export interface Requests {
  'bitlens/model': { params: ModelTarget; result: ModelSummary };
  'bitlens/report': { params: ModelTarget & { formats?: readonly string[] }; result: ReportData };
  'bitlens/layerDetail': { params: ModelTarget & { path: string; sweep?: boolean }; result: LayerDetail };
  'bitlens/reportHtml': { params: ModelTarget & { out: string }; result: { path: string; bytes: number } };
  'bitlens/allocate': { params: AllocationRequest; result: AllocationSummary };
  'bitlens/quantizeLayer': { params: QuantizeLayerRequest; result: QuantizeLayerSummary };
  'bitlens/writeRecipe': { params: ModelTarget & { path: string; format: string; method: string; recipe?: string }; result: { recipe: string } };
  'bitlens/trial': { params: TrialRequest; result: TrialSummary };
  'bitlens/evaluate': { params: EvaluateRequest; result: EvaluateResult };
  'bitlens/activations': { params: EvaluateRequest; result: ActivationsSummary };
  'bitlens/sensitivity': { params: SensitivityRequest; result: SensitivityResult };
  'bitlens/scorecard': { params: ScorecardRequest; result: Scorecard };
  'bitlens/inspect': { params: { path: string }; result: CheckpointSummary };
  'bitlens/diff': { params: { path: string; other: string }; result: CheckpointDiff };
  'bitlens/tensorDetail': { params: { path: string; tensor: string }; result: TensorDetail };
  'bitlens/formats': { params: Record<string, never>; result: readonly FormatEntry[] };
  'bitlens/methods': { params: Record<string, never>; result: readonly MethodEntry[] };
  'bitlens/restartKernel': { params: Record<string, never>; result: null };
}

/** Notification name -> parameters, server to client. */
export interface Notifications {
  'bitlens/status': ServerStatus;
  /** The analysis behind these documents changed: views and open reports ask again. */
  'bitlens/changed': { readonly uris: readonly string[] };
}

/** Messages between the report page and its host (the editor). Checked on arrival by both sides. */
export type ReportMessageIn =
  | { readonly type: 'data'; readonly report: ReportData }
  | { readonly type: 'detail'; readonly detail: LayerDetail }
  | { readonly type: 'error'; readonly message: string };
export type ReportMessageOut =
  | { readonly type: 'ready' }
  | { readonly type: 'open'; readonly path: string }
  | { readonly type: 'detail'; readonly path: string }
  /** The detail again, with a sweep over every format. */
  | { readonly type: 'sweep'; readonly path: string }
  | { readonly type: 'quantize'; readonly path: string }
  | { readonly type: 'export'; readonly kind: 'csv' | 'json' | 'html' };

/** Messages between the checkpoint page and its host. */
export type CheckpointMessageIn =
  | { readonly type: 'data'; readonly summary: CheckpointSummary }
  | { readonly type: 'tensor'; readonly tensor: TensorDetail }
  | { readonly type: 'error'; readonly message: string; readonly tensor?: string };
export type CheckpointMessageOut =
  | { readonly type: 'ready' }
  | { readonly type: 'tensor'; readonly name: string };

/** Messages between the comparison page and its host. */
export type DiffMessageIn =
  | { readonly type: 'data'; readonly diff: CheckpointDiff }
  | { readonly type: 'error'; readonly message: string };
export type DiffMessageOut = { readonly type: 'ready' };

/** Settings, as the client sends them (section `bitlens`). */
export interface Settings {
  readonly checkpoint: string;
  readonly targetFormat: string;
  readonly formats: readonly string[];
  readonly minimumSqnrDb: number;
  readonly kurtosis: number;
  readonly channelRangeSpread: number;
  readonly rules: Readonly<Record<string, 'error' | 'warning' | 'information' | 'hint' | 'off'>>;
  readonly inlayHints: boolean;
  readonly codeLens: boolean;
  readonly threads: number;
  readonly memoryMb: number;
  /** What models run on, the most wanted first: names of onnxruntime's execution providers. */
  readonly executionProviders: readonly string[];
}
export const DEFAULT_SETTINGS: Settings = {
  checkpoint: '',
  targetFormat: 'int4-sym-g128',
  formats: ['int2-sym-g128', 'int3-sym-g128', 'int4-sym-g128', 'int4-asym-g128', 'int6-sym-channel', 'int8-sym-channel', 'fp8-e4m3-channel', 'bf16'],
  minimumSqnrDb: 18,
  kurtosis: 10,
  channelRangeSpread: 16,
  rules: {},
  inlayHints: true,
  codeLens: true,
  threads: 0,
  memoryMb: 2048,
  executionProviders: ['cpu'],
};
