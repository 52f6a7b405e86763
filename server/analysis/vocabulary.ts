/** What this build knows by name: formats and methods, from their registries. */
import { listedFormats, parseFormat } from '../../kernels/formats/registry';
import { isMeasured, isProxy, type Allocator, type Correction, type CostModel, type Generator, type MeasuredMetric, type Method, type ProxyMetric, type PtqMethod, type RangeMethod, type SensitivityMetric, type Transform } from '../../kernels/methods/method';
import { aliased, methods } from '../../kernels/methods/registry';
import { AUTO } from '../../kernels/data/data';
import type { FormatEntry, MethodEntry } from '../protocol';
import type { RecipeVocabulary } from './recipe-file';
import { FormatIdError } from '../../kernels/formats/format';
import { canonicalFormats } from './measurements';
import { didYouMean, UserError } from './user-error';

const byKind = <K extends Method['kind']>(kind: K): Extract<Method, { kind: K }>[] =>
  methods().filter((each): each is Extract<Method, { kind: K }> => each.kind === kind);

export const ptqMethods = (): PtqMethod[] => byKind('ptq');
/** Metrics that read weights alone, and those that run the model on data: with layers changed, or (proxies) as it is. */
export const sensitivityMetrics = (): (SensitivityMetric | MeasuredMetric | ProxyMetric)[] => byKind('sensitivity');
export const metrics = (): SensitivityMetric[] => sensitivityMetrics().filter((each): each is SensitivityMetric => !isMeasured(each) && !isProxy(each));
export const measuredMetrics = (): (MeasuredMetric | ProxyMetric)[] => sensitivityMetrics().filter((each): each is MeasuredMetric | ProxyMetric => isMeasured(each) || isProxy(each));
export const allocators = (): Allocator[] => byKind('allocation');

export const costModels = (): CostModel[] => byKind('cost');
/** Cost models that limits can be given for. */
export const COSTS = ['bops', 'latency'] as const;
export type CostId = (typeof COSTS)[number];

/** What makes data up: a method of the kind "calibration", or the one that suits the model. */
export const generators = (): Generator[] => byKind('calibration');
export const syntheticNames = (): string[] => [AUTO, ...generators().map(({ id }) => id)];
/** @throws UserError naming those there are. */
export const syntheticNamed = (id: string): string => (id === AUTO ? AUTO : named(id, 'way to make data', generators()).id);

function named<T extends Method>(id: string, kind: string, list: readonly T[]): T {
  const found = list.find((each) => each.id === id) ?? list.find((each) => each.id === aliased(id));
  if (found) return found;
  const ids = list.map((each) => each.id);
  throw new UserError(`${JSON.stringify(id)} is not a ${kind}.${didYouMean(id, ids)} There are: ${ids.join(', ')}`);
}

export const DEFAULT_METRIC = 'weight-nsr';
export const DEFAULT_METHOD = 'rtn';
/** Of metrics that run the model. */
export const DEFAULT_MEASURED_METRIC = 'kl';
/** The metric of a task that names none: outputs that are no distributions are compared by their noise. */
export const defaultMeasuredMetric = (task: string | null): string => (task === 'regression' || task === 'features' ? 'model-nsr' : DEFAULT_MEASURED_METRIC);
/** Formats that are measured on data when none is named: two to eight bits per output channel. */
export const DEFAULT_FORMATS_MEASURED = ['int2-sym-channel', 'int3-sym-channel', 'int4-sym-channel', 'int6-sym-channel', 'int8-sym-channel'];
/** Method of a trial that names none. */
export const TRIAL_DEFAULT_METHOD = 'rtn';

/** @throws UserError naming those there are. */
export const metricNamed = (id: string = DEFAULT_METRIC): SensitivityMetric => named(id, 'metric', metrics());
/** @throws UserError naming those there are. */
export const measuredMetricNamed = (id: string): MeasuredMetric | ProxyMetric => named(id, 'metric that runs the model', measuredMetrics());
/** Any metric. @throws UserError naming those there are. */
export const sensitivityMetricNamed = (id: string): SensitivityMetric | MeasuredMetric | ProxyMetric => named(id, 'sensitivity metric', sensitivityMetrics());
/** @throws UserError naming those there are. */
export const methodNamed = (id: string = DEFAULT_METHOD): PtqMethod => named(id, 'PTQ method', ptqMethods());
export const transforms = (): Transform[] => byKind('transform');
export const rangeMethods = (): RangeMethod[] => byKind('range');
export const corrections = (): Correction[] => byKind('correction');
/** @throws UserError naming those there are. */
export const transformNamed = (id: string): Transform => named(id, 'transform', transforms());
/** How ranges of activations are found when nobody says. */
export const DEFAULT_RANGE = 'mse';
/** @throws UserError naming those there are. */
export const rangeNamed = (id: string = DEFAULT_RANGE): RangeMethod => named(id, 'way to find ranges', rangeMethods());
/** @throws UserError naming those there are. */
export const correctionNamed = (id: string): Correction => named(id, 'correction', corrections());
/** Does this id name a metric that runs the model? */
export const isMeasuredMetric = (id: string): boolean => measuredMetrics().some((each) => each.id === aliased(id));
/** The exact solver. */
export const DEFAULT_ALLOCATOR = 'knapsack';
/** @throws UserError naming those there are. */
export const allocatorNamed = (id: string = DEFAULT_ALLOCATOR): Allocator => named(id, 'allocator', allocators());

export const recipeVocabulary = (): RecipeVocabulary => ({
  canonicalFormat: (id) => parseFormat(id).id,
  methods: ptqMethods().map((each) => each.id),
});

export const formatEntries = (): FormatEntry[] => listedFormats().map((format) => ({
  id: format.id, title: format.title, bitsPerWeight: format.nominalBitsPerWeight, catalogue: format.catalogue,
}));
export const methodEntries = (): MethodEntry[] => methods().map(({ id, kind, title, needs, catalogue }) => ({ id, kind, title, needs, catalogue }));

/** Canonical ids of formats that a user named. @throws UserError */
export function userFormats(ids: readonly string[]): string[] {
  try {
    return canonicalFormats(ids);
  } catch (error) {
    if (error instanceof FormatIdError) throw new UserError(error.message);
    throw error;
  }
}
