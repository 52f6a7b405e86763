/** What every allocator starts from: coupled layers merged, sizes and errors checked, the uniform baseline. */
import { JobError, type AllocateParams, type AllocateResult, type AllocationLayer } from '../../jobs/job';

/** Layers that get one format together, and what each format costs them in sum. */
export interface ChoiceClass {
  readonly keys: readonly string[];
  readonly formats: readonly string[];
  readonly bits: readonly number[];
  readonly errors: readonly number[];
}

/** Merges coupled layers. @throws JobError when a group names an unknown layer, shares no format, or a number is not usable. */
export function choiceClasses(params: AllocateParams): ChoiceClass[] {
  const { layers, groups } = params;
  if (layers.length === 0) throw new JobError('there is no layer to give bits to');
  if (!Number.isFinite(params.budgetBits) || params.budgetBits < 0) throw new JobError(`the budget must be a number of bits, not ${params.budgetBits}`);
  const index = new Map<string, number>();
  layers.forEach((layer, i) => {
    if (index.has(layer.key)) throw new JobError(`layer "${layer.key}" is listed twice`);
    index.set(layer.key, i);
    if (layer.choices.length === 0) throw new JobError(`layer "${layer.key}" has no format to choose from`);
    for (const { format, bits, error } of layer.choices) {
      if (!Number.isSafeInteger(bits) || bits < 0 || !Number.isFinite(error) || error < 0) {
        throw new JobError(`layer "${layer.key}", format ${format}: bits (${bits}) must be a whole number and the error (${error}) finite, neither negative`);
      }
    }
  });
  const parent = layers.map((_, i) => i);
  const root = (i: number): number => {
    let at = i;
    while (parent[at] !== at) at = parent[at] = parent[parent[at]!]!;
    return at;
  };
  for (const group of groups) {
    const members = group.map((key) => {
      const found = index.get(key);
      if (found === undefined) throw new JobError(`the group [${group.join(', ')}] names "${key}", which is not among the layers`);
      return found;
    });
    for (const member of members.slice(1)) {
      const [a, b] = [root(members[0]!), root(member)];
      parent[Math.max(a, b)] = Math.min(a, b);
    }
  }
  const members = new Map<number, AllocationLayer[]>();
  layers.forEach((layer, i) => {
    const at = root(i);
    const list = members.get(at);
    if (list) list.push(layer);
    else members.set(at, [layer]);
  });
  return [...members.values()].map(mergeLayers);
}

function mergeLayers(layers: readonly AllocationLayer[]): ChoiceClass {
  const tables = layers.map((layer) => new Map(layer.choices.map((choice) => [choice.format, choice])));
  const formats = [...tables[0]!.keys()].filter((format) => tables.every((table) => table.has(format)));
  if (formats.length === 0) throw new JobError(`the layers ${layers.map((layer) => layer.key).join(', ')} must share a format, but have none in common`);
  const sum = (format: string, of: 'bits' | 'error'): number => tables.reduce((total, table) => total + table.get(format)![of], 0);
  return {
    keys: layers.map((layer) => layer.key),
    formats,
    bits: formats.map((format) => sum(format, 'bits')),
    errors: formats.map((format) => sum(format, 'error')),
  };
}

/** Every format that all layers offer, with its total size and error. */
export function uniformChoices(layers: readonly AllocationLayer[]): { format: string; objective: number; bits: number }[] {
  const totals = new Map<string, { format: string; objective: number; bits: number; layers: number }>();
  for (const layer of layers) {
    for (const { format, bits, error } of new Map(layer.choices.map((choice) => [choice.format, choice])).values()) {
      const total = totals.get(format) ?? { format, objective: 0, bits: 0, layers: 0 };
      totals.set(format, { format, objective: total.objective + error, bits: total.bits + bits, layers: total.layers + 1 });
    }
  }
  return [...totals.values()].filter((total) => total.layers === layers.length).map(({ format, objective, bits }) => ({ format, objective, bits }));
}

/** The uniform format with the least error that fits; of equal ones, the smaller. */
export function bestUniform(layers: readonly AllocationLayer[], budgetBits: number): AllocateResult['uniform'] {
  let best: AllocateResult['uniform'] = null;
  for (const choice of uniformChoices(layers)) {
    if (choice.bits > budgetBits) continue;
    if (!best || choice.objective < best.objective || (choice.objective === best.objective && choice.bits < best.bits)) best = choice;
  }
  return best;
}

/** @throws JobError that names the smallest possible size. */
export function refuseBudget(smallestBits: number, budgetBits: number, what: string): never {
  const size = (bits: number): string => `${Math.ceil(bits / 8).toLocaleString('en-US')} bytes`;
  throw new JobError(`the budget of ${size(budgetBits)} cannot be met: ${what} takes ${size(smallestBits)}. Raise the budget or add smaller formats`);
}

/** Choices of a class from the smallest to the largest; of equal ones, the one with less error last. */
export function bySize({ bits, errors }: ChoiceClass): number[] {
  return bits.map((_, i) => i).sort((a, b) => bits[a]! - bits[b]! || errors[b]! - errors[a]!);
}

/** Each class's choices by size. @throws JobError when even the smallest of all together are above the budget */
export function ordersWithin({ budgetBits }: AllocateParams, classes: readonly ChoiceClass[]): number[][] {
  const orders = classes.map(bySize);
  const smallest = classes.reduce((sum, { bits }, i) => sum + bits[orders[i]![0]!]!, 0);
  if (smallest > budgetBits) refuseBudget(smallest, budgetBits, 'the smallest choice of every layer');
  return orders;
}

/** An allocator's answer from the choice it made for each class. */
export function resultOf(params: AllocateParams, classes: readonly ChoiceClass[], choice: readonly number[], optimal: boolean): AllocateResult {
  const formatOf = new Map(classes.flatMap(({ keys, formats }, i) => keys.map((key) => [key, formats[choice[i]!]!] as const)));
  const sum = (of: (each: ChoiceClass, at: number) => number): number => classes.reduce((total, each, i) => total + of(each, choice[i]!), 0);
  const objective = sum(({ errors }, at) => errors[at]!);
  const bits = sum((each, at) => each.bits[at]!);
  return {
    choice: params.layers.map(({ key, choices }) => {
      const format = formatOf.get(key)!;
      const found = choices.findLast((each) => each.format === format)!;
      return { key, format, bits: found.bits, error: found.error };
    }),
    objective, bits, optimal,
    lowerBound: optimal ? objective : sum(({ errors }) => Math.min(...errors)),
    uniform: bestUniform(params.layers, params.budgetBits),
    frontier: [{ bits, objective }],
  };
}
