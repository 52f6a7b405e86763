/** Recipe files: reading with clear complaints, writing atomically. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { FormatIdError } from '../../kernels/formats/format';
import type { Recipe, Scheme } from '../../kernels/recipe/recipe';
import { writeFileAtomic } from './atomic-file';
import { JsonValue, readJsonFile, record } from './json-reader';
import { didYouMean, UserError } from './user-error';

/** Format id that keeps the stored precision. */
export const KEEP = 'keep';

/** Checks that depend on what this build knows: format ids and method ids. */
export interface RecipeVocabulary {
  /** Canonical id; throws FormatIdError. */
  canonicalFormat(id: string): string;
  readonly methods: readonly string[];
}

/**
 * Reads and validates a recipe.
 *
 * @throws UserError naming the JSON path: unknown properties, unknown formats or methods, wrong version.
 */
export async function readRecipe(file: string, vocabulary: RecipeVocabulary): Promise<Recipe> {
  return parseRecipe(await readJsonFile(file, 'recipe'), file, vocabulary);
}

export function parseRecipe(value: unknown, file: string, vocabulary: RecipeVocabulary): Recipe {
  const m = new JsonValue(value, '', file).object(['version', 'model', 'default', 'layers'], ['$schema', 'groups', 'provenance']);
  const version = m.get('version')!;
  if (version.value !== 1) version.fail(`must be 1, the only version this program reads`);
  const model = m.get('model')!.object(['source', 'class', 'checkpoint'], []);
  const groups = m.get('groups')?.items().map((group) => group.items().map((item) => item.string()));
  const provenance = m.get('provenance');
  if (provenance) provenance.members();
  return {
    version: 1,
    model: { source: model.get('source')!.string(), class: model.get('class')!.string(), checkpoint: model.get('checkpoint')!.string() },
    default: readScheme(m.get('default')!, vocabulary),
    layers: record([...m.get('layers')!.members()].map(([layer, scheme]) => [layer, readScheme(scheme, vocabulary)] as const)),
    ...(groups ? { groups } : {}),
    ...(provenance ? { provenance: provenance.value as NonNullable<Recipe['provenance']> } : {}),
  };
}

function readScheme(value: JsonValue, vocabulary: RecipeVocabulary): Scheme {
  const m = value.object(['weights'], ['activations', 'method', 'options']);
  const format = (entry: JsonValue): string => {
    const id = entry.string();
    if (id === KEEP) return id;
    try {
      return vocabulary.canonicalFormat(id);
    } catch (error) {
      if (error instanceof FormatIdError) entry.fail(`is not a format: ${error.message}`);
      throw error;
    }
  };
  const method = m.get('method');
  if (method && !vocabulary.methods.includes(method.string())) {
    method.fail(`is not a method.${didYouMean(method.string(), vocabulary.methods)} There are: ${vocabulary.methods.join(', ')}`);
  }
  const options = m.get('options');
  if (options) options.members();
  const activations = m.get('activations');
  return {
    weights: format(m.get('weights')!),
    ...(activations ? { activations: format(activations) } : {}),
    ...(method ? { method: method.string() } : {}),
    ...(options ? { options: options.value as Record<string, unknown> } : {}),
  };
}

/** Recipe as the text of a file: stable order, two spaces, final newline. */
export function recipeText(recipe: Recipe): string {
  return `${JSON.stringify(recipe, null, 2)}\n`;
}

export async function writeRecipeFile(file: string, recipe: Recipe, signal?: AbortSignal): Promise<void> {
  await writeFileAtomic(file, recipeText(recipe), signal);
}

/** Layers a recipe names that the model does not have: a recipe for another version of the code. */
export function strangeLayers(recipe: Recipe, known: ReadonlySet<string>): string[] {
  return [...Object.keys(recipe.layers), ...(recipe.groups ?? []).flat()].filter((layer) => !known.has(layer));
}

export function refuseStrangeLayers(recipe: Recipe, file: string, known: ReadonlySet<string>): void {
  const strange = [...new Set(strangeLayers(recipe, known))];
  if (strange.length === 0) return;
  const shown = strange.slice(0, 3).map((layer) => JSON.stringify(layer)).join(', ');
  throw new UserError(`${file} names ${strange.length === 1 ? 'a layer' : `${strange.length} layers`} that the model does not have: ${shown}${strange.length > 3 ? ', …' : ''}.`
    + `${didYouMean(strange[0]!, known)} Remove them or allocate again`);
}

/** `*.recipe.json` beside a source file, by name, at most 64. */
export async function recipesBeside(source: string): Promise<string[]> {
  const folder = path.dirname(source);
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.recipe.json')).sort();
    // `model.recipe.json` for `model.py` comes first.
    const own = `${path.basename(source, path.extname(source))}.recipe.json`;
    return [...names.filter((name) => name === own), ...names.filter((name) => name !== own)].slice(0, 64).map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}
