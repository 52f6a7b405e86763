/** What a trial does beside rounding weights: transforms before, activations meanwhile, corrections after. */
import type { MethodChoice } from '../../kernels/jobs/job';
import { isBlockScaled } from '../../kernels/formats/format';
import { parseFormat } from '../../kernels/formats/registry';
import type { Method } from '../../kernels/methods/method';
import { readOptions, type TrialPlan } from './trial';
import { didYouMean, UserError } from './user-error';
import { correctionNamed, rangeNamed, transformNamed, userFormats } from './vocabulary';

export interface TrialSteps {
  readonly transforms: readonly MethodChoice[];
  /** How ranges of activations are found, where there are formats for them. */
  readonly range?: MethodChoice;
  readonly corrections: readonly MethodChoice[];
}
/** As people name them. */
export interface NamedSteps {
  readonly transforms?: readonly string[];
  readonly activations?: string;
  readonly range?: string;
  readonly corrections?: readonly string[];
  /** `STEP.OPTION=VALUE` */
  readonly options?: readonly string[];
}

export const NO_STEPS: TrialSteps = { transforms: [], corrections: [] };

/**
 * The plan with a format for the inputs of every layer, and the steps around it.
 * @throws UserError for a step, an option or a format that there is not, or one that would have no effect
 */
export function withSteps(plan: TrialPlan, named: NamedSteps): { plan: TrialPlan; steps: TrialSteps } {
  const transforms = [...new Set(named.transforms ?? [])].map(transformNamed);
  const corrections = [...new Set(named.corrections ?? [])].map(correctionNamed);
  const range = rangeNamed(named.range);
  const rounded = named.activations === undefined ? plan : withActivations(plan, named.activations);
  const roundsAny = rounded.layers.some(({ activations }) => activations !== undefined);
  if (named.range !== undefined && !roundsAny) throw new UserError(`ranges are those of activations, and no layer has a format for them; name one with --activations, or in the recipe`);
  const chosen: readonly Method[] = [...transforms, ...corrections, ...(roundsAny ? [range] : [])];
  const options = optionsOf(chosen, named.options ?? []);
  const choice = ({ id }: Method): MethodChoice => (options.has(id) ? { method: id, options: options.get(id)! } : { method: id });
  return { plan: rounded, steps: { transforms: transforms.map(choice), ...(named.range !== undefined || options.has(range.id) ? { range: choice(range) } : {}), corrections: corrections.map(choice) } };
}

/** One format for the inputs of all layers, whatever a recipe says. */
function withActivations(plan: TrialPlan, id: string): TrialPlan {
  const [format] = userFormats([id]);
  if (!isBlockScaled(parseFormat(format!))) throw new UserError(`${id} is no format that activations are rounded to while a model runs; integers and small floats are: int8-sym-tensor, int8-asym-tensor, fp8-e4m3-tensor, int8-sym-channel`);
  return { ...plan, layers: plan.layers.map((layer) => ({ ...layer, activations: format! })) };
}

function optionsOf(chosen: readonly Method[], texts: readonly string[]): Map<string, Record<string, unknown>> {
  const byStep = new Map<string, string[]>();
  for (const text of texts) {
    const [step] = text.split('.');
    const found = chosen.find(({ id }) => id === step);
    if (!found) throw new UserError(`${JSON.stringify(step)} is no step of this trial.${didYouMean(step!, chosen.map(({ id }) => id))}${chosen.length > 0 ? ` Its steps: ${chosen.map(({ id }) => id).join(', ')}` : ' It has none: name them with --transform, --range or --correct'}`);
    byStep.set(found.id, [...byStep.get(found.id) ?? [], text.slice(step!.length + 1)]);
  }
  return new Map([...byStep].map(([id, own]) => [id, readOptions(chosen.find((each) => each.id === id)!, own)]));
}

/** Names of the steps, for a title. */
export const stepTitle = ({ transforms = [], activations, corrections = [] }: NamedSteps): string => [...transforms, ...(activations === undefined ? [] : [`activations ${activations}`]), ...corrections].join(', ');
