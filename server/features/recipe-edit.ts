/** Changes to a recipe as text edits, so that they can be undone like any other. */
import path from 'node:path';
import { ownRecipe, placeOf, type ModelAnalysis } from '../analysis/model-analysis';
import type { Recipe } from '../../kernels/recipe/recipe';
import type { Range } from '../protocol';

export interface LayerFormat { readonly path: string; readonly format: string }
export interface TextEdit { readonly range: Range; readonly newText: string }

/** Where a model's recipe is, or would be made. */
export function recipePathOf(analysis: ModelAnalysis): string {
  if (analysis.recipePath !== null) return analysis.recipePath;
  return ownRecipe(analysis);
}

/** A new recipe that gives these layers a format and keeps the stored precision of the others. */
export function newRecipe(analysis: ModelAnalysis, layers: readonly LayerFormat[]): string {
  const folder = path.dirname(recipePathOf(analysis));
  const relative = (file: string): string => path.relative(folder, file).split(path.sep).join('/');
  const recipe: Recipe = {
    version: 1,
    model: { source: relative(placeOf(analysis)) || '.', class: analysis.root!.name, checkpoint: relative(analysis.checkpointPath!) },
    default: { weights: 'keep' },
    layers: schemes(layers),
  };
  return `${JSON.stringify(recipe, null, 2)}\n`;
}

/** Layer names are data: `__proto__` must become an entry like any other. */
const schemes = (layers: readonly LayerFormat[], present: Readonly<Record<string, unknown>> = {}): Recipe['layers'] =>
  Object.fromEntries([
    ...Object.entries(present),
    ...layers.map(({ path: layer, format }) => [layer, { ...objectAt(present, layer), weights: format }] as const),
  ]) as Recipe['layers'];

function objectAt(record: Readonly<Record<string, unknown>>, key: string): object {
  const value = Object.hasOwn(record, key) ? record[key] : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/**
 * The text of a recipe with some layers' formats changed, its indentation kept; null when the text is no recipe.
 * Provenance is dropped: it describes an allocation that this no longer is.
 */
export function changedRecipe(text: string, layers: readonly LayerFormat[]): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { provenance: _provenance, ...recipe } = value as Record<string, unknown>;
  const present = recipe.layers;
  if (typeof present !== 'object' || present === null || Array.isArray(present)) return null;
  const indent = /^\{\s*?\n([ \t]+)"/.exec(text)?.[1] ?? 2;
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const changed = JSON.stringify({ ...recipe, layers: schemes(layers, present as Record<string, unknown>) }, null, indent);
  return `${changed.replace(/\n/g, newline)}${/\n$/.test(text) ? newline : ''}`;
}

/**
 * An edit that replaces a whole document, whatever it holds by then: the editor may have a version that is not on disk, and
 * a smaller edit made for another text would garble it.
 */
export function wholeDocument(newText: string): TextEdit {
  return { range: { start: { line: 0, character: 0 }, end: { line: 2 ** 31 - 1, character: 0 } }, newText };
}
