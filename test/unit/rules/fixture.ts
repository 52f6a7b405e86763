/** Analyses by hand: a tree, a checkpoint, and scans whose numbers a test sets. */
import type { Checkpoint } from '../../../kernels/checkpoint/checkpoint';
import type { FormatError, WeightScan, WeightStatistics } from '../../../kernels/jobs/job';
import type { Recipe, Scheme } from '../../../kernels/recipe/recipe';
import type { ModelAnalysis } from '../../../server/analysis/model-analysis';
import { link } from '../../../server/linking/link';
import type { ModuleTree, SourceSpan } from '../../../server/python/module-tree';
import { DEFAULT_SETTINGS } from '../../../server/protocol';
import { rules, runRules } from '../../../server/rules/registry';
import type { Finding, RuleSettings } from '../../../server/rules/rule';
import { ruleSettings } from '../../../server/rules/settings';

export const at = (startLine: number, startColumn = 8): { span: SourceSpan } =>
  ({ span: { file: '/model.py', startLine, startColumn, endLine: startLine, endColumn: startColumn + 12 } });

export const statistics = (changes: Partial<WeightStatistics> = {}): WeightStatistics => ({
  count: 4096, nan: 0, inf: 0, zeros: 0, min: -3, max: 3, absmax: 3, mean: 0, std: 1, rms: 1, kurtosis: 3, outlierShare: 0,
  absmaxOverRms: 3, channelRangeSpread: 1.2, deadChannels: [], deadChannelCount: 0, constantChannelCount: 0, zd: 0.3, fp16Overflow: 0, fp16Underflow: 0, ...changes,
});
export const error = (sqnrDb: number | null, bitsPerWeight: number, mse = sqnrDb === null ? 0 : 10 ** (-sqnrDb / 10)): FormatError =>
  ({ mse, sqnrDb, cosine: null, bitsPerWeight, bytes: 1000, scaleRule: 'absmax' });

export interface ScanOptions {
  readonly statistics?: Partial<WeightStatistics>;
  readonly formats?: Readonly<Record<string, FormatError>>;
  readonly rows?: number;
  readonly cols?: number;
}

export interface AnalysisOptions {
  readonly tree: ModuleTree;
  readonly checkpoint?: Checkpoint | null;
  /** By layer path; layers that are not named are measured as unsuspicious. Undefined: nothing is measured. */
  readonly scans?: Readonly<Record<string, ScanOptions>>;
  readonly recipe?: { readonly default?: Scheme; readonly layers?: Readonly<Record<string, Scheme>>; readonly groups?: readonly (readonly string[])[] };
  readonly more?: Partial<ModelAnalysis>;
}

const FINE = { 'int4-sym-g128': error(24, 4.25), 'int8-sym-channel': error(48, 8.01) };

export function analysis(options: AnalysisOptions): ModelAnalysis {
  const { tree, checkpoint = null, scans, recipe } = options;
  const linked = link(tree, checkpoint);
  const measured = new Map<string, WeightScan>();
  for (const layer of linked.layers) {
    if (!scans || !layer.weight?.info || layer.tiedTo !== null) continue;
    const own = scans[layer.path] ?? {};
    const shape = layer.weight.info.shape;
    const rows = own.rows ?? shape[layer.outputAxis]!;
    measured.set(layer.path, {
      key: layer.path, tensor: layer.weight.info.name, view: { rows, cols: own.cols ?? shape.reduce((a, b) => a * b, 1) / rows },
      statistics: statistics(own.statistics), formats: own.formats ?? FINE,
    });
  }
  const fullRecipe: Recipe | null = recipe
    ? { version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'weights.safetensors' }, default: recipe.default ?? { weights: 'int8-sym-channel' }, layers: recipe.layers ?? {}, ...(recipe.groups && { groups: recipe.groups }) }
    : null;
  return {
    source: '/model.py', root: { name: 'Net', span: { file: '/model.py', startLine: 1, startColumn: 0, endLine: 30, endColumn: 0 }, reason: 'the only module', alternatives: [] },
    tree, checkpointPath: checkpoint?.path ?? null, checkpoint, checkpointError: null, link: linked,
    measurements: scans ? { state: 'ready', scans: measured, evidence: 'Measured on the weights of weights.safetensors' } : { state: 'none', reason: 'not asked' },
    recipe: fullRecipe, recipePath: fullRecipe ? '/model.recipe.json' : null, ...options.more,
  };
}

export const settings = (changes: Partial<RuleSettings> = {}): RuleSettings => ({ ...ruleSettings({ ...DEFAULT_SETTINGS, minimumSqnrDb: 20 }), ...changes });

/** The findings of one rule. */
export function findings(code: string, model: ModelAnalysis, changes: Partial<RuleSettings> = {}): Finding[] {
  const known = rules.some((rule) => rule.code === code);
  if (!known) throw new Error(`no rule ${code}`);
  return runRules(model, settings(changes)).filter((finding) => finding.code === code);
}
