/** Mixed recipes by chance, of about one size. */
import { Random } from '../numerics/random';

export interface DrawnLayer { readonly key: string; readonly choices: readonly { readonly format: string; readonly bits: number }[] }
export interface DrawnRecipe { readonly formats: Readonly<Record<string, string>>; readonly bits: number }

/** Draws that may be in vain before there are no more recipes of this size. */
const VAIN = 100;

/**
 * Every layer gets any of its formats; then layers drawn by chance go one format down until the size is kept, and others up as long as
 * it is kept. The same seed draws the same recipes. All differ: there are fewer than asked for where the layers have no more.
 *
 * @param budgetBits what a recipe takes at most; when absent, what a recipe takes on average whose formats are drawn alone
 */
export function drawRecipes(layers: readonly DrawnLayer[], count: number, seed: number, budgetBits = averageBits(layers)): DrawnRecipe[] {
  const sorted = layers.map(({ key, choices }) => ({ key, choices: [...choices].sort((a, b) => a.bits - b.bits) }));
  const random = new Random(seed);
  const found = new Map<string, DrawnRecipe>();
  for (let vain = 0; found.size < count && vain < VAIN;) {
    const level = sorted.map(({ choices }) => random.integer(choices.length));
    const bitsOf = (): number => level.reduce((sum, at, i) => sum + sorted[i]!.choices[at]!.bits, 0);
    /** One layer a step, as long as there is one. */
    const move = (by: 1 | -1, more: () => boolean): void => {
      let open = [...level.keys()];
      while (open.length > 0 && more()) {
        const i = open[random.integer(open.length)]!;
        const to = level[i]! + by;
        const fits = to >= 0 && to < sorted[i]!.choices.length && (by < 0 || bitsOf() - sorted[i]!.choices[level[i]!]!.bits + sorted[i]!.choices[to]!.bits <= budgetBits);
        if (fits) level[i] = to;
        else open = open.filter((other) => other !== i);
      }
    };
    move(-1, () => bitsOf() > budgetBits);
    move(1, () => true);
    const name = level.join(' ');
    if (found.has(name)) { vain += 1; continue; }
    found.set(name, { formats: Object.fromEntries(sorted.map(({ key, choices }, i) => [key, choices[level[i]!]!.format])), bits: bitsOf() });
  }
  return [...found.values()];
}

const averageBits = (layers: readonly DrawnLayer[]): number => layers.reduce((sum, { choices }) => sum + choices.reduce((total, { bits }) => total + bits, 0) / choices.length, 0);
