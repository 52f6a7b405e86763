/**
 * Values that can fill a model's constructor: Hugging Face's config.json beside a checkpoint, and the plain values that
 * configuration files of other publishers (params.json, model_config.yaml), and the plain values that
 * training scripts save with the weights (nanoGPT's `model_args`, Lightning's `hyper_parameters`).
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Checkpoint } from '../../kernels/checkpoint/checkpoint';
import { record } from './json-reader';
import { parsePlainYaml } from './plain-yaml';

export interface ModelValues {
  /** For people: `config.json`, `model_args of ckpt.pt`. */
  readonly from: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Files that models are published with, the one that says most about the model last. */
const CONFIG_FILES = ['hparams.yaml', 'config.yaml', 'model_config.yaml', 'hparams.json', 'model_config.json', 'params.json', 'config.json'];
const CONFIG_BYTES = 2 ** 20;
/** Entries of a training checkpoint that describe the model, most specific first. */
const ENTRIES = ['model_args', 'model_config', 'model_kwargs', 'init_args', 'hyper_parameters', 'hparams', 'config', 'cfg', 'args', 'opt', 'params'];
/** Parameters that take a whole configuration object. */
export const CONFIG_PARAMETER = /^(?:\w+_)?(?:config|cfg|args|hparams|params|opts?|options|conf|configs|hps)$/;

const isPlain = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Everything found for a checkpoint, best first. Broken files are passed over: they only ever add knowledge. */
export async function modelValues(checkpoint: Checkpoint): Promise<ModelValues[]> {
  const found: ModelValues[] = [];
  const extra = (checkpoint as { readonly extra?: Readonly<Record<string, unknown>> }).extra;
  const name = path.basename(checkpoint.path);
  for (const entry of ENTRIES) {
    const value = extra && Object.hasOwn(extra, entry) ? extra[entry] : undefined;
    if (!isPlain(value) || Object.keys(value).length === 0) continue;
    found.push({ from: `${entry} of ${name}`, values: value });
    for (const inner of ['model', 'config', 'model_args']) {
      if (isPlain(value[inner])) found.push({ from: `${entry}.${inner} of ${name}`, values: value[inner] });
    }
  }
  for (const file of CONFIG_FILES) {
    const values = await valuesOfFile(checkpoint, file);
    if (values) found.unshift({ from: file, values });
  }
  // A checkpoint's own entries may lie at its top level: `{'state_dict': ..., 'arch': ..., 'n_layer': 12}`.
  if (extra && found.length === 0 && Object.keys(extra).length > 0) found.push({ from: name, values: extra });
  return found.slice(0, 6);
}

/** A file of values beside the checkpoint, when it is there and holds named values. */
async function valuesOfFile(checkpoint: Checkpoint, name: string): Promise<Record<string, unknown> | null> {
  const file = path.join(path.dirname(checkpoint.path), name);
  try {
    if ((await stat(file)).size > CONFIG_BYTES) return null;
    const text = await readFile(file, 'utf8');
    const value: unknown = name.endsWith('.json') ? JSON.parse(text) : parsePlainYaml(text);
    return isPlain(value) ? record(Object.entries(value)) : null;
  } catch {
    return null;
  }
}

/** True when the configuration says that input and output embeddings are tied. Hugging Face's default is yes. */
export function tiesEmbeddings(values: readonly ModelValues[]): boolean {
  const config = values.find(({ from }) => from === 'config.json')?.values;
  return config !== undefined && 'model_type' in config && config.tie_word_embeddings !== false;
}

/** The class that config.json says the weights are of: `architectures`. */
export function namedArchitecture(values: readonly ModelValues[]): string | null {
  const architectures = values.find(({ from }) => from === 'config.json')?.values.architectures;
  const [first] = Array.isArray(architectures) ? (architectures as unknown[]) : [];
  return typeof first === 'string' ? first : null;
}

/** Constructor arguments for parameters that have no known value: of the same name, or the whole as a configuration object. */
export function argumentsFrom(parameters: readonly string[], source: ModelValues): Record<string, unknown> | null {
  const filled = parameters.flatMap((parameter): [string, unknown][] => {
    if (Object.hasOwn(source.values, parameter)) return [[parameter, source.values[parameter]]];
    return CONFIG_PARAMETER.test(parameter) ? [[parameter, source.values]] : [];
  });
  return filled.length > 0 ? record(filled) : null;
}
