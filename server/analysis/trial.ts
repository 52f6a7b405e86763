/** PTQ trials: a recipe, or one format, put through a method in the kernel, and exported when asked. */
import path from 'node:path';
import type { Graph } from '../../kernels/graph/graph';
import type { QuantizeResult, QuantizeTask, TrialResult } from '../../kernels/jobs/job';
import type { LayoutId } from '../../kernels/jobs/layouts';
import { schemeOf, type Recipe } from '../../kernels/recipe/recipe';
import type { Layer, LinkResult } from '../linking/layer';
import { weightLayers } from '../linking/link';
import type { JudgedTrial, TrialSummary } from '../protocol';
import { specOf } from './measurements';
import type { ModelAnalysis } from './model-analysis';
import type { KernelPort, RunOptions } from './ports';
import { KEEP } from './recipe-file';
import type { Method } from '../../kernels/methods/method';
import { stepTexts } from './step-texts';
import { didYouMean, UserError } from './user-error';

/** Seed of trials: methods without randomness ignore it, and those with get the same result every time. */
export const SEED = 0;

/**
 * The layers a user names: a layer itself, its tensor, all weights of a module (`lstm`), or everything below a path (`layer1`).
 * Tied names stand for the layer that carries the weight.
 *
 * @throws UserError naming the nearest path when nothing matches.
 */
export function selectLayers(result: LinkResult, names: readonly string[]): Layer[] {
  const all = weightLayers(result);
  const byPath = new Map(all.map((layer) => [layer.path, layer]));
  const chosen = new Set<Layer>();
  for (const name of names) {
    const own = result.layers.find((layer) => layer.path === name) ?? result.layers.find((layer) => layer.weight && (layer.weight.name === name || layer.weight.info?.name === name));
    const carrier = byPath.get(own?.tiedTo ?? own?.path ?? name);
    const matching = carrier ? [carrier] : all.filter((layer) => layer.modulePath === name || layer.path.startsWith(`${name}.`));
    if (matching.length === 0) {
      if (own?.weight) throw new UserError(`layer ${JSON.stringify(name)} has no tensor in the checkpoint to quantize`);
      if (own) throw new UserError(`layer ${JSON.stringify(name)} (${own.className}) has no weight that is quantized; it keeps its precision`);
      throw new UserError(`the model has no layer ${JSON.stringify(name)}.${didYouMean(name, byPath.keys()) || ' "bitlens layers" lists them'}`);
    }
    for (const layer of matching) chosen.add(layer);
  }
  return all.filter((layer) => chosen.has(layer));
}

export interface PlannedLayer {
  readonly layer: Layer;
  readonly format: string;
  readonly method: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Format of what the layer is applied to; floating point when absent. */
  readonly activations?: string;
}
export interface TrialPlan {
  readonly title: string;
  readonly layers: readonly PlannedLayer[];
  /** A layer that cannot be quantized keeps its stored values: nobody asked for it by name. */
  readonly orKeep: boolean;
  readonly notes: readonly string[];
}

/** One format for the layers. `named`: the user named them, so that one which cannot be quantized is an error. */
export function planFormat(layers: readonly Layer[], format: string, method: string, named: boolean): TrialPlan {
  if (layers.length === 0) throw new UserError('no layer of the model has a weight in this checkpoint that can be quantized');
  return { title: `${format}, ${method}`, layers: layers.map((layer) => ({ layer, format, method })), orKeep: !named, notes: [] };
}

/** A recipe's schemes. `method` overrides the recipe's where given. */
export function planRecipe(layers: readonly Layer[], recipe: Recipe, file: string, method: string | undefined): TrialPlan {
  const planned = layers.flatMap((layer): PlannedLayer[] => {
    const { weights, activations, method: own, options } = schemeOf(recipe, layer.path);
    if (weights === KEEP && activations === undefined) return [];
    return [{ layer, format: weights, method: method ?? own ?? 'rtn', ...(options && method === undefined ? { options } : {}), ...(activations === undefined ? {} : { activations }) }];
  });
  if (planned.every(({ format }) => format === KEEP)) throw new UserError(`${file} keeps the stored precision of every layer, so a trial would change nothing. Give layers a format first`);
  return { title: path.basename(file), layers: planned, orKeep: false, notes: [] };
}

/** The plan without these layers and what lies below these paths. @throws UserError for a path that names nothing, or when nothing is left. */
export function excludeLayers(plan: TrialPlan, link: LinkResult, paths: readonly string[]): TrialPlan {
  const out = new Set(paths.flatMap((name) => selectLayers(link, [name])));
  const layers = plan.layers.filter(({ layer }) => !out.has(layer));
  if (layers.length === 0) throw new UserError('every layer is excluded, so that nothing would be quantized');
  return { ...plan, layers };
}

/** `option=value` texts, read after the method's parameters. @throws UserError naming the options there are, or the range. */
export function readOptions(method: Pick<Method, 'id' | 'parameters'>, texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(texts.map((text) => {
    const [name, ...rest] = text.split('=');
    const value = rest.join('=');
    const names = Object.keys(method.parameters);
    if (!Object.hasOwn(method.parameters, name!)) throw new UserError(`${method.id} has no option ${JSON.stringify(name)}.${didYouMean(name!, names)} ${names.length > 0 ? `It has ${names.join(', ')}` : 'It takes none'}`);
    const schema = method.parameters[name!]!;
    if (schema.type === 'boolean') {
      if (value !== 'true' && value !== 'false') throw new UserError(`${name} must be true or false, not ${JSON.stringify(value)}`);
      return [name, value === 'true'];
    }
    if (schema.type === 'enum') {
      if (!schema.values.includes(value)) throw new UserError(`${name} must be one of ${schema.values.join(', ')}, not ${JSON.stringify(value)}`);
      return [name, value];
    }
    const number = value.trim() === '' ? Number.NaN : Number(value);
    if (!(number >= schema.minimum && number <= schema.maximum) || (schema.type === 'integer' && !Number.isInteger(number))) {
      throw new UserError(`${name} must be ${schema.type === 'integer' ? 'a whole number' : 'a number'} from ${schema.minimum} to ${schema.maximum}, not ${JSON.stringify(value)}`);
    }
    return [name, number];
  }));
}

/** Other names in the checkpoint that are the same weight: they are written with the same values. */
function partners(result: LinkResult, layer: Layer): string[] {
  const own = layer.weight!.info!.name;
  const names = result.layers.filter((other) => other.tiedTo === layer.path && other.weight?.info).map((other) => other.weight!.info!.name);
  return [...new Set(names)].filter((name) => name !== own);
}

/** A key that no layer path can be: partner tensors are quantized along but reported once. */
const partnerKey = (layer: Layer, tensor: string): string => `${layer.path}\0${tensor}`;

export interface TrialExport {
  readonly path: string;
  /** What suits the file when absent. */
  readonly layout?: LayoutId;
  /** Of a model whose weights lie in a file without one, for an ONNX model. */
  readonly graph?: Graph;
  readonly metadata?: readonly (readonly [string, string])[];
}

export async function runPlan(kernel: KernelPort, analysis: ModelAnalysis, plan: TrialPlan, target: TrialExport | null, options: RunOptions): Promise<QuantizeResult> {
  return kernel.run('quantize', { checkpoint: analysis.checkpoint!.path, tasks: planTasks(analysis, plan, target), seed: SEED, ...(target ? { export: target } : {}) }, options);
}

/** The plan as tasks of the kernel. */
export function planTasks(analysis: ModelAnalysis, plan: TrialPlan, target: TrialExport | null): QuantizeTask[] {
  return plan.layers.flatMap(({ layer, format, method, options: methodOptions }): QuantizeTask[] => {
    if (format === KEEP) return [];
    const extra = { format, method, ...(methodOptions ? { options: methodOptions } : {}), ...(plan.orKeep ? { orKeep: true } : {}) };
    const along = target ? partners(analysis.link!, layer).map((tensor) => ({ ...specOf(layer, partnerKey(layer, tensor), tensor), ...extra })) : [];
    return [{ ...specOf(layer), ...extra }, ...along];
  });
}

/** What a trial of the weights alone leaves out of a plan. */
export function weightsOnlyNotes({ layers }: TrialPlan): string[] {
  const rounded = layers.filter(({ activations }) => activations !== undefined).length;
  return rounded > 0 ? [`activation formats of ${rounded} layers are not part of this weight-only trial`] : [];
}

/** One sentence about the layers that stay as they are stored, at most three of them by name. */
function keptNotes({ kept = [] }: Pick<QuantizeResult, 'kept'>): string[] {
  const own = kept.filter(({ key }) => !key.includes('\0'));
  if (own.length === 0) return [];
  const shown = own.slice(0, 3).map(({ key, reason }) => `${key} (${reason})`).join(', ');
  return [`${own.length} ${own.length === 1 ? 'layer is kept as it is' : 'layers are kept as they are'} stored: ${shown}${own.length > 3 ? `, and ${own.length - 3} more` : ''}`];
}

let trials = 0;

/** How many samples of which data. */
export const samplesText = (samples: number, data: string): string => `${samples} ${samples === 1 ? 'sample' : 'samples'} of ${data}`;

/** What the model's output said, and on which data; null where the model was not run. */
export function judgedOf(result: QuantizeResult | TrialResult): { evidence: string; judged: JudgedTrial } | null {
  if (!('before' in result)) return null;
  const { before, after, samples, data, calibration } = result;
  return {
    judged: { before: { loss: before.loss, accuracy: before.accuracy }, after: { loss: after.loss, accuracy: after.accuracy, kl: after.kl, nsr: after.nsr } },
    evidence: `The model ran on ${samplesText(samples, data)}${calibration ? `; calibrated on ${samplesText(calibration.samples, calibration.data)}` : ''}`,
  };
}

export function trialSummary(analysis: ModelAnalysis, plan: TrialPlan, result: QuantizeResult | TrialResult, startedAt: Date): TrialSummary {
  const byKey = new Map(result.layers.map((layer) => [layer.key, layer]));
  const layers = plan.layers.flatMap(({ layer }) => {
    const done = byKey.get(layer.path);
    return done ? [{ path: layer.path, format: done.format, method: done.method, before: done.before, after: done.after, stored: layer.weight!.info! }] : [];
  });
  if (layers.length === 0) throw new UserError('the trial quantized no layer');
  const weights = layers.reduce((sum, { stored }) => sum + stored.shape.reduce((a, b) => a * b, 1), 0);
  const bits = layers.reduce((sum, { after, stored }) => sum + after.bitsPerWeight * stored.shape.reduce((a, b) => a * b, 1), 0);
  trials += 1;
  const ran = judgedOf(result);
  const evidence = [
    ran?.evidence ?? `Measured on the weights of ${path.basename(analysis.checkpoint!.path)}: ${layers.length} layers quantized and decoded again; the model was not run`,
    ...('notes' in result ? [...stepTexts(result), ...result.notes] : weightsOnlyNotes(plan)), ...keptNotes(result), ...plan.notes,
  ].join('; ');
  return {
    id: `${startedAt.toISOString().replace(/[:.]/g, '-')}-${trials}`,
    startedAt: startedAt.toISOString(),
    title: plan.title,
    layers: layers.map(({ stored: _stored, ...layer }) => layer),
    bytesBefore: layers.reduce((sum, { stored }) => sum + stored.bytes, 0),
    bytesAfter: layers.reduce((sum, { after }) => sum + after.bytes, 0),
    averageBits: weights > 0 ? bits / weights : 0,
    seconds: result.seconds,
    evidence,
    export: result.export ?? null,
    ...(ran ? { judged: ran.judged } : {}),
  };
}
