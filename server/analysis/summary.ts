/** A model as the editor's views show it: rows of plain data. */
import { pathToFileURL } from 'node:url';
import { elementCount, shownDtype } from '../../kernels/checkpoint/checkpoint';
import type { DataSource } from '../../kernels/data/data';
import { schemeOf, type Recipe } from '../../kernels/recipe/recipe';
import type { Layer } from '../linking/layer';
import { weightLayers } from '../linking/link';
import type { LayerRow, ModelSummary, Settings } from '../protocol';
import type { SourceSpan } from '../python/module-tree';
import type { Finding } from '../rules/rule';
import type { ModelAnalysis } from './model-analysis';
import { sourceName } from './model-data';
import { KEEP } from './recipe-file';
import { storageBits, suggestFormat } from './suggest';
import { defaultMeasuredMetric } from './vocabulary';

const rangeOf = (span: SourceSpan) => ({ start: { line: span.startLine, character: span.startColumn }, end: { line: span.endLine, character: span.endColumn } });

/** Elements a layer owns: stored tensors, tied ones not counted again. */
export function layerParameters(layer: Layer): number {
  return layer.tensors.reduce((sum, tensor) => {
    if (layer.tiedTo !== null && tensor === layer.weight) return sum;
    const shape = tensor.info?.shape ?? tensor.parameter?.shape ?? null;
    if (tensor.parameter?.kind === 'buffer' || shape === null || shape.some((dim) => dim === null)) return sum;
    return sum + elementCount(shape as readonly number[]);
  }, 0);
}

export function layerBytes(layer: Layer): number {
  return layer.tensors.reduce((sum, tensor) => sum + (tensor.info && !(layer.tiedTo !== null && tensor === layer.weight) ? tensor.info.bytes : 0), 0);
}

/** What a layer is shown with: the recipe's format, else the suggested one. */
export function shownFormat(analysis: ModelAnalysis, layer: Layer, settings: Settings): { format: string; source: 'recipe' | 'suggested' } | null {
  if (!layer.weight) return null;
  const { recipe, measurements } = analysis;
  if (recipe) return { format: schemeOf(recipe, layer.path).weights, source: 'recipe' };
  const scan = measurements.state === 'ready' ? measurements.scans.get(layer.tiedTo ?? layer.path) : undefined;
  const suggestion = scan ? suggestFormat(scan, settings.minimumSqnrDb) : null;
  return suggestion ? { format: suggestion.format, source: 'suggested' } : null;
}

function rowOf(analysis: ModelAnalysis, layer: Layer, settings: Settings, findings: readonly Finding[]): LayerRow {
  const info = layer.weight?.info ?? null;
  const shown = info ? shownFormat(analysis, layer, settings) : null;
  const scan = analysis.measurements.state === 'ready' ? analysis.measurements.scans.get(layer.tiedTo ?? layer.path) : undefined;
  const error = shown && scan ? scan.formats[shown.format] : undefined;
  const bytes = layerBytes(layer);
  const kept = !shown || shown.format === KEEP;
  const bits = info && !kept && scan ? storageBits(shown.format, scan.view) : null;
  const owned = layer.tiedTo === null && info ? info.bytes : 0;
  return {
    path: layer.path, className: layer.className, uri: pathToFileURL(layer.span.file).href, range: rangeOf(layer.span), linked: layer.linked,
    weight: info ? { tensor: info.name, dtype: shownDtype(info), shape: info.shape } : null,
    parameters: layerParameters(layer), bytes,
    format: shown?.format ?? null, formatSource: shown?.source ?? null,
    bitsPerWeight: error?.bitsPerWeight ?? (bits !== null && scan ? bits / (scan.view.rows * scan.view.cols) : null),
    bytesAfter: bits === null ? (info ? null : bytes) : bytes - owned + (layer.tiedTo === null ? Math.ceil(bits / 8) : 0),
    sqnrDb: error?.sqnrDb ?? null,
    tiedTo: layer.tiedTo,
    findings: findings.filter((finding) => isAbout(finding, layer.path)).map(({ code, severity, message }) => ({ code, severity, message })),
  };
}

export function summaryOf(analysis: ModelAnalysis, settings: Settings, findings: readonly Finding[], evidence: string): ModelSummary {
  const { link, root, checkpoint, checkpointError, measurements } = analysis;
  const rows = link?.layers.map((layer) => rowOf(analysis, layer, settings, findings)) ?? [];
  const carried = new Set(link ? weightLayers(link).map((layer) => layer.path) : []);
  const sizes = rows.filter((row) => carried.has(row.path));
  const complete = sizes.length > 0 && sizes.every((row) => row.bitsPerWeight !== null || row.format === KEEP);
  const weights = sizes.reduce((sum, row) => sum + elementCount(row.weight!.shape), 0);
  const bits = sizes.reduce((sum, row) => sum + (row.bitsPerWeight ?? storedBits(row)) * elementCount(row.weight!.shape), 0);
  return {
    target: { uri: pathToFileURL(analysis.source).href, ...(root ? { root: root.name } : {}) },
    root: root?.name ?? null,
    rootReason: root?.reason ?? 'the file has no module class that could be the model',
    rootCandidates: root ? [root.name, ...root.alternatives.map((candidate) => candidate.name)] : [],
    checkpoint: analysis.checkpointPath,
    checkpointMessage: checkpointError ? `${checkpointError.message}. ${checkpointError.fix}` : checkpoint ? null : analysis.checkpointReason ?? null,
    recipe: analysis.recipePath,
    data: namedData(analysis),
    measurements: measurements.state,
    evidence,
    layers: rows,
    unlinkedTensors: link?.unlinkedTensors.map((tensor) => tensor.name) ?? [],
    missingTensors: link?.missing.map(({ name }) => name) ?? [],
    parameters: rows.reduce((sum, row) => sum + row.parameters, 0),
    bytes: rows.reduce((sum, row) => sum + row.bytes, 0),
    bytesAfter: complete ? rows.reduce((sum, row) => sum + (row.bytesAfter ?? row.bytes), 0) : null,
    averageBits: complete && weights > 0 ? bits / weights : null,
  };
}

const storedBits = (row: LayerRow): number => {
  const count = elementCount(row.weight!.shape);
  return count > 0 ? row.bytes * 8 / count : 0;
};

/** A finding on a line that constructs several layers is about all of them. */
export const isAbout = (finding: Finding, layerPath: string): boolean => finding.layers?.includes(layerPath) ?? finding.layer === layerPath;

/** Rules' settings out of the user's. */
export const ruleSettingsOf = (settings: Settings) => ({
  targetFormat: settings.targetFormat, minimumSqnrDb: settings.minimumSqnrDb, kurtosis: settings.kurtosis,
  channelRangeSpread: settings.channelRangeSpread, severities: settings.rules,
});

export const recipeFormat = (recipe: Recipe | null, path: string): string | null => (recipe ? schemeOf(recipe, path).weights : null);

function namedData({ entry }: ModelAnalysis): ModelSummary['data'] {
  const name = (source: DataSource | undefined): string | null => (source ? sourceName(source) : null);
  const task = entry?.task ?? null;
  return { task, calibration: name(entry?.data?.calibration), evaluation: name(entry?.data?.evaluation), metric: defaultMeasuredMetric(task) };
}
