/** What this build knows by name: formats and methods, from their registries. */
import { listedFormats, parseFormat } from '../../kernels/formats/registry';
import type { Allocator, Method, PtqMethod, SensitivityMetric } from '../../kernels/methods/method';
import { method, methods } from '../../kernels/methods/registry';
import type { FormatEntry, MethodEntry } from '../protocol';
import type { RecipeVocabulary } from './recipe-file';
import { didYouMean, UserError } from './user-error';

const byKind = <K extends Method['kind']>(kind: K): Extract<Method, { kind: K }>[] =>
  methods().filter((each): each is Extract<Method, { kind: K }> => each.kind === kind);

export const ptqMethods = (): PtqMethod[] => byKind('ptq');
export const metrics = (): SensitivityMetric[] => byKind('sensitivity');
export const allocators = (): Allocator[] => byKind('allocation');

function named<T extends Method>(id: string, kind: string, list: readonly T[]): T {
  const canonical = method(id)?.id ?? id;
  const found = list.find((each) => each.id === canonical);
  if (found) return found;
  const ids = list.map((each) => each.id);
  throw new UserError(`${JSON.stringify(id)} is not a ${kind}.${didYouMean(id, ids)} There are: ${ids.join(', ')}`);
}

export const DEFAULT_METRIC = 'weight-nsr';
export const DEFAULT_METHOD = 'rtn';

/** @throws UserError naming those there are. */
export const metricNamed = (id: string = DEFAULT_METRIC): SensitivityMetric => named(id, 'metric', metrics());
/** @throws UserError naming those there are. */
export const methodNamed = (id: string = DEFAULT_METHOD): PtqMethod => named(id, 'PTQ method', ptqMethods());
/** The exact solver. */
export const DEFAULT_ALLOCATOR = 'knapsack';
export const defaultAllocator = (): Allocator => named(DEFAULT_ALLOCATOR, 'allocator', allocators());

export const recipeVocabulary = (): RecipeVocabulary => ({
  canonicalFormat: (id) => parseFormat(id).id,
  methods: ptqMethods().map((each) => each.id),
});

export const formatEntries = (): FormatEntry[] => listedFormats().map((format) => ({
  id: format.id, title: format.title, bitsPerWeight: format.nominalBitsPerWeight, catalogue: format.catalogue,
}));
export const methodEntries = (): MethodEntry[] => methods().map(({ id, kind, title, needs, catalogue }) => ({ id, kind, title, needs, catalogue }));
