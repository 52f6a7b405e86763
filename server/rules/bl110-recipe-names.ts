import { FormatIdError } from '../../kernels/formats/format';
import { parseFormat } from '../../kernels/formats/registry';
import { methods } from '../../kernels/methods/registry';
import { KEEP, recipeEvidence } from './facts';
import { nearest } from '../analysis/user-error';
import type { Rule } from './rule';
import { plain, sentence } from './text';

/** A stale recipe may name hundreds of layers: beyond this many they are counted. */
const MOST = 5;

const methodIds = (): string[] => methods().filter(({ kind }) => kind === 'ptq').map(({ id }) => id);

function formatComplaint(id: string): string | null {
  if (id === KEEP) return null;
  try {
    parseFormat(id);
    return null;
  } catch (error) {
    if (error instanceof FormatIdError) return error.message;
    throw error;
  }
}

export const recipeNames: Rule = {
  code: 'BL110',
  name: 'recipe-names',
  title: 'Recipe names a layer, format or method that does not exist',
  defaultSeverity: 'warning',
  needs: 'recipe',
  explanation: `
A recipe belongs to one version of the code. After a rename it names layers that the model no longer has, and those layers
silently get the recipe's default instead.

Said for every layer of the recipe (in \`layers\` and \`groups\`) that the model does not have, for format ids that are no
format, and for methods that are not in the registry. It sits on the model's class, since the recipe is another file.

**What to do:** correct the name (the closest one is suggested) or run *Suggest Bit Allocation* again.
`,
  * check(analysis) {
    const { recipe, link } = analysis;
    if (!recipe) return;
    const evidence = recipeEvidence(analysis);
    const found: string[] = [];
    if (link) {
      // A container is no layer but its path exists: recipes name layers only.
      const known = new Set(link.layers.map((layer) => layer.path));
      for (const path of new Set([...Object.keys(recipe.layers), ...(recipe.groups ?? []).flat()])) {
        if (known.has(path)) continue;
        // Looked for only where it is shown: a large model times a stale recipe would be millions of comparisons.
        const close = found.length < MOST ? nearest(path, known) : null;
        found.push(`the recipe names layer ${plain(path)}, which the model does not have${close === null ? '' : `; ${plain(close)} is the closest`}`);
      }
    }
    for (const [where, scheme] of [['the default', recipe.default], ...Object.entries(recipe.layers).map(([path, one]) => [plain(path), one] as const)] as const) {
      for (const id of [scheme.weights, ...(scheme.activations === undefined ? [] : [scheme.activations])]) {
        const complaint = formatComplaint(id);
        if (complaint !== null) found.push(`the recipe's format of ${where}: ${complaint}`);
      }
      if (scheme.method !== undefined && !methodIds().includes(scheme.method)) {
        found.push(`the recipe's method of ${where}: ${plain(scheme.method)} is not one of ${methodIds().join(', ')}`);
      }
    }
    for (const text of found.slice(0, MOST)) yield { message: sentence(`${text} (${evidence})`), span: null, evidence };
    if (found.length > MOST) yield { message: sentence(`the recipe has ${found.length - MOST} more names that do not fit the model (${evidence})`), span: null, evidence };
  },
};
