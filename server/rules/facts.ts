/** What rules read from an analysis: scans, formats and sizes per layer. */
import path from 'node:path';
import { elementCount } from '../../kernels/checkpoint/checkpoint';
import { FormatIdError, type NumberFormat } from '../../kernels/formats/format';
import { parseFormat } from '../../kernels/formats/registry';
import type { WeightScan } from '../../kernels/jobs/job';
import { schemeOf } from '../../kernels/recipe/recipe';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { Layer } from '../linking/layer';
import { plain } from './text';

/** Scheme id that keeps the stored precision. */
export const KEEP = 'keep';

/** Null for `keep` and for ids that are no format (BL110 says so). */
export function formatOf(id: string): NumberFormat | null {
  if (id === KEEP) return null;
  try {
    return parseFormat(id);
  } catch (error) {
    if (error instanceof FormatIdError) return null;
    throw error;
  }
}

/** Layers that carry a weight of their own: tied partners are left out, their owner speaks for them. */
export function weightLayers(analysis: ModelAnalysis): readonly Layer[] {
  return (analysis.link?.layers ?? []).filter((layer) => layer.weight !== null && layer.tiedTo === null);
}

export interface ScannedLayer {
  readonly layer: Layer;
  readonly scan: WeightScan;
  /** Where the numbers come from. */
  readonly evidence: string;
}

/** Measured layers, in the order of the source; none until the measurement is ready. */
export function* scannedLayers(analysis: ModelAnalysis): Generator<ScannedLayer> {
  if (analysis.measurements.state !== 'ready') return;
  const { scans } = analysis.measurements;
  const evidence = `measured on the weights of ${checkpointName(analysis)}`;
  for (const layer of weightLayers(analysis)) {
    const scan = scans.get(layer.path);
    if (scan) yield { layer, scan, evidence };
  }
}

/** The format a layer is going to get: the recipe's, else the target of the settings. */
export function intendedFormat(analysis: ModelAnalysis, layer: Layer, targetFormat: string): { readonly id: string; readonly from: 'recipe' | 'target' } {
  if (analysis.recipe) return { id: schemeOf(analysis.recipe, layer.path).weights, from: 'recipe' };
  return { id: targetFormat, from: 'target' };
}

/** Weight as [output channels, weights per channel]; null when a dimension is not known. */
export function viewOf(layer: Layer): { readonly rows: number; readonly cols: number } | null {
  const shape = layer.weight?.info?.shape ?? layer.weight?.parameter?.shape;
  if (!shape || shape.length < 2 || shape.some((dim) => dim === null)) return null;
  const known = shape as readonly number[];
  const rows = known[layer.outputAxis]!;
  return rows > 0 ? { rows, cols: elementCount(known) / rows } : null;
}

/** File name of the checkpoint for messages. */
export function checkpointName(analysis: ModelAnalysis): string {
  return analysis.checkpointPath === null ? 'the checkpoint' : plain(path.basename(analysis.checkpointPath));
}

/** Evidence of findings that need no measurement. */
export function headerEvidence(analysis: ModelAnalysis): string {
  return `read from the header of ${checkpointName(analysis)}`;
}
export const SOURCE_EVIDENCE = 'read from the source';
export function recipeEvidence(analysis: ModelAnalysis): string {
  return analysis.recipePath === null ? 'read from the recipe' : `read from ${plain(path.basename(analysis.recipePath))}`;
}
