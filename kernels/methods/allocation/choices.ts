/** What every allocator starts from: coupled layers merged, costs and errors checked, limits, the uniform baseline. */
import { JobError, type AllocateParams, type AllocateResult, type AllocationChoice, type AllocationLayer } from '../../jobs/job';

/** Layers that get one format together, and what each format costs them in sum. */
export interface ChoiceClass {
  readonly keys: readonly string[];
  readonly formats: readonly string[];
  readonly bits: readonly number[];
  readonly errors: readonly number[];
  /** Per format, its size and its further costs, as {@link limitsOf} orders them. */
  readonly costs: readonly (readonly number[])[];
}

/** The size budget, then the limits of further costs. */
export const limitsOf = ({ budgetBits, limits = [] }: Pick<AllocateParams, 'budgetBits' | 'limits'>): readonly number[] => [budgetBits, ...limits];

/** Size and further costs of a choice, in the order of {@link limitsOf}. */
const costsOf = ({ bits, costs = [] }: AllocationChoice): readonly number[] => [bits, ...costs];

export const within = (costs: readonly number[], limits: readonly number[]): boolean => costs.every((cost, k) => cost <= limits[k]!);

/** Totals of each cost over the choices made. */
export const totalCosts = (classes: readonly Pick<ChoiceClass, 'costs'>[], choice: ArrayLike<number>, count: number): number[] =>
  Array.from({ length: count }, (_, k) => classes.reduce((sum, { costs }, i) => sum + costs[choice[i]!]![k]!, 0));

/**
 * One number for what a choice takes of all limits: the size alone where it is the only limit, else the sum of the shares of the
 * limits. Rules that step from small to large go by it.
 */
export function loadsOf({ bits, costs }: ChoiceClass, limits: readonly number[]): readonly number[] {
  return limits.length === 1 ? bits : costs.map((each) => each.reduce((sum, cost, k) => sum + cost / Math.max(1, limits[k]!), 0));
}

/** Merges coupled layers. @throws JobError when a group names an unknown layer, shares no format, or a number is not usable. */
export function choiceClasses(params: AllocateParams): ChoiceClass[] {
  const { layers, groups } = params;
  if (layers.length === 0) throw new JobError('there is no layer to give bits to');
  if (!Number.isFinite(params.budgetBits) || params.budgetBits < 0) throw new JobError(`the budget must be a number of bits, not ${params.budgetBits}`);
  for (const limit of params.limits ?? []) if (!Number.isFinite(limit) || limit < 0) throw new JobError(`a limit must be a number that is not negative, not ${limit}`);
  const further = params.limits?.length ?? 0;
  const index = new Map<string, number>();
  layers.forEach((layer, i) => {
    if (index.has(layer.key)) throw new JobError(`layer "${layer.key}" is listed twice`);
    index.set(layer.key, i);
    if (layer.choices.length === 0) throw new JobError(`layer "${layer.key}" has no format to choose from`);
    for (const { format, bits, error, costs = [] } of layer.choices) {
      if (costs.length !== further || costs.some((cost) => !Number.isSafeInteger(cost) || cost < 0)) {
        throw new JobError(`layer "${layer.key}", format ${format}: further costs [${costs.join(', ')}] must be whole numbers that are not negative, one for each of the ${further} limits`);
      }
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
    costs: formats.map((format) => addCosts(tables.map((table) => table.get(format)!))),
  };
}

const addCosts = (choices: readonly AllocationChoice[]): number[] => costsOf(choices[0]!).map((_, k) => choices.reduce((sum, choice) => sum + costsOf(choice)[k]!, 0));

export interface UniformChoice { readonly format: string; readonly objective: number; readonly bits: number; readonly costs: readonly number[] }

/** Every format that all layers offer, with its total costs and error. */
export function uniformChoices(layers: readonly AllocationLayer[]): UniformChoice[] {
  const byFormat = new Map<string, AllocationChoice[]>();
  for (const layer of layers) {
    for (const choice of new Map(layer.choices.map((each) => [each.format, each])).values()) {
      const list = byFormat.get(choice.format);
      if (list) list.push(choice);
      else byFormat.set(choice.format, [choice]);
    }
  }
  return [...byFormat].filter(([, choices]) => choices.length === layers.length).map(([format, choices]) => {
    const costs = addCosts(choices);
    return { format, objective: choices.reduce((sum, { error }) => sum + error, 0), bits: costs[0]!, costs };
  });
}

/** The uniform format with the least error that keeps every limit; of equal ones, the smaller. */
export function bestUniform(params: AllocateParams): AllocateResult['uniform'] {
  let best: UniformChoice | null = null;
  const limits = limitsOf(params);
  for (const choice of uniformChoices(params.layers)) {
    if (!within(choice.costs, limits)) continue;
    if (!best || choice.objective < best.objective || (choice.objective === best.objective && choice.bits < best.bits)) best = choice;
  }
  return best && { format: best.format, objective: best.objective, bits: best.bits };
}

/** @throws JobError that names the least possible where one limit alone is too low. */
export function refuseLimits(costs: readonly number[], limits: readonly number[], what: string): never {
  const size = (bits: number): string => `${Math.ceil(bits / 8).toLocaleString('en-US')} bytes`;
  if (costs[0]! > limits[0]!) throw new JobError(`the budget of ${size(limits[0]!)} cannot be met: ${what} takes ${size(costs[0]!)}. Raise the budget or add smaller formats`);
  const k = costs.findIndex((cost, i) => cost > limits[i]!);
  throw new JobError(k < 0 ? `no choice of formats was found that keeps all ${limits.length} limits together. Raise one of them or add formats`
    : `the limit of ${limits[k]!.toLocaleString('en-US')} cannot be met: ${what} takes ${costs[k]!.toLocaleString('en-US')}. Raise the limit or add formats that take less`);
}

/** Each class's choices from the one that takes least to the one that takes most; of equal ones, the one with less error last. */
function orderOf(each: ChoiceClass, limits: readonly number[]): number[] {
  const loads = loadsOf(each, limits);
  return loads.map((_, i) => i).sort((a, b) => loads[a]! - loads[b]! || each.errors[b]! - each.errors[a]!);
}

/** Each class's choices by what they take. @throws JobError when even the least of all together are above a limit */
export function ordersWithin(params: AllocateParams, classes: readonly ChoiceClass[]): number[][] {
  const limits = limitsOf(params);
  const orders = classes.map((each) => orderOf(each, limits));
  const least = totalCosts(classes, orders.map((order) => order[0]!), limits.length);
  if (!within(least, limits)) refuseLimits(least, limits, 'the smallest choice of every layer');
  return orders;
}

/** The answer in terms of layers, from the choice made for each class. */
export function chosenFormats(params: AllocateParams, classes: readonly ChoiceClass[], choice: ArrayLike<number>): Pick<AllocateResult, 'choice' | 'costs'> {
  const formatOf = new Map(classes.flatMap(({ keys, formats }, i) => keys.map((key) => [key, formats[choice[i]!]!] as const)));
  const { limits = [] } = params;
  return {
    choice: params.layers.map(({ key, choices }) => {
      const format = formatOf.get(key)!;
      const { bits, error, costs } = choices.findLast((each) => each.format === format)!;
      return { key, format, bits, error, ...(costs ? { costs } : {}) };
    }),
    ...(limits.length > 0 ? { costs: totalCosts(classes, choice, limits.length + 1).slice(1) } : {}),
  };
}

/** An allocator's answer from the choice it made for each class. */
export function resultOf(params: AllocateParams, classes: readonly ChoiceClass[], choice: readonly number[], optimal: boolean): AllocateResult {
  const sum = (of: (each: ChoiceClass, at: number) => number): number => classes.reduce((total, each, i) => total + of(each, choice[i]!), 0);
  const objective = sum(({ errors }, at) => errors[at]!);
  const bits = sum((each, at) => each.bits[at]!);
  return {
    ...chosenFormats(params, classes, choice),
    objective, bits, optimal,
    lowerBound: optimal ? objective : sum(({ errors }) => Math.min(...errors)),
    uniform: bestUniform(params),
    frontier: [{ bits, objective }],
  };
}
