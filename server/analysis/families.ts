/**
 * Models published without code: a folder with config.json and weights, as Hugging Face's libraries write it. The families below
 * have their source in this extension (server/families, shipped as dist/families), with the names of the published checkpoints.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { assetPath } from '../../kernels/assets';
import type { Checkpoint } from '../../kernels/checkpoint/checkpoint';
import type { ModelEntry } from './config';
import { JsonValue, readJsonFile, record } from './json-reader';
import { didYouMean, UserError } from './user-error';

interface Family {
  /** File below server/families. */
  readonly file: string;
  /** Classes it defines; the first is taken where config.json names none. */
  readonly classes: readonly string[];
  /** What config.json's class names begin with instead, where a family is another's under a name of its own. */
  readonly alias?: { readonly theirs: string; readonly ours: string };
  /** The member of config.json that describes the part which is built in, of a model of several. */
  readonly part?: string;
}
const family = (file: string, name: string, ...heads: string[]): Family => ({ file, classes: heads.map((head) => `${name}${head}`) });
const decoder = (file: string, name: string): Family => family(file, name, 'ForCausalLM', 'Model');
const TEXT_HEADS = ['ForSequenceClassification', 'ForTokenClassification', 'ForQuestionAnswering'];
const roberta = (theirs?: string): Family => ({ ...family('roberta.py', 'Roberta', 'ForMaskedLM', 'Model', ...TEXT_HEADS), ...(theirs === undefined ? {} : { alias: { theirs, ours: 'Roberta' } }) });

/** By `model_type`. */
export const FAMILIES: ReadonlyMap<string, Family> = new Map<string, Family>([
  ['llama', decoder('llama.py', 'Llama')],
  ['mistral', decoder('mistral.py', 'Mistral')],
  ['qwen2', decoder('qwen2.py', 'Qwen2')],
  ['qwen3', decoder('qwen3.py', 'Qwen3')],
  ['gemma', decoder('gemma.py', 'Gemma')],
  ['gemma2', decoder('gemma.py', 'Gemma2')],
  ['gemma3_text', { file: 'gemma.py', classes: ['Gemma3ForCausalLM', 'Gemma3TextModel'] }],
  // Of the models that also see images, the language model.
  ['gemma3', { file: 'gemma.py', classes: ['Gemma3ForCausalLM', 'Gemma3TextModel'], part: 'text_config', alias: { theirs: 'Gemma3ForConditionalGeneration', ours: 'Gemma3ForCausalLM' } }],
  ['phi', decoder('phi.py', 'Phi')],
  ['phi3', decoder('phi3.py', 'Phi3')],
  ['gpt2', family('gpt2.py', 'GPT2', 'LMHeadModel', 'Model')],
  ['gpt_neox', decoder('gpt_neox.py', 'GPTNeoX')],
  ['bert', family('bert.py', 'Bert', 'ForMaskedLM', 'Model', 'ForPreTraining', ...TEXT_HEADS)],
  ['roberta', roberta()],
  ['xlm-roberta', roberta('XLMRoberta')],
  ['camembert', roberta('Camembert')],
  ['distilbert', family('distilbert.py', 'DistilBert', 'ForMaskedLM', 'Model', ...TEXT_HEADS)],
  ['vit', family('vit.py', 'ViT', 'ForImageClassification', 'Model')],
  ['deit', family('deit.py', 'DeiT', 'ForImageClassification', 'Model', 'ForImageClassificationWithTeacher')],
  ['resnet', family('resnet.py', 'ResNet', 'ForImageClassification', 'Model')],
]);

export const CONFIG_JSON = 'config.json';
/** Weights in such a folder, the preferred first. */
const WEIGHTS = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model.bin.index.json'];
const OTHER_WEIGHTS = /\.(?:safetensors|bin|pt|pth|gguf)$/i;

/** The folder that a path means as a published model: itself, or that of its config.json; null when it is neither. */
export async function modelFolder(place: string): Promise<string | null> {
  if (/\.pyi?$/i.test(place)) return null;
  const facts = await stat(place).catch(() => null);
  if (facts?.isFile()) return path.basename(place) === CONFIG_JSON ? path.dirname(place) : null;
  if (!facts?.isDirectory()) return null;
  return (await stat(path.join(place, CONFIG_JSON)).catch(() => null))?.isFile() ? place : null;
}

/** True for a folder whose model can be built in; a config.json of something else is none of ours. */
export const isPublished = async (place: string): Promise<boolean> => {
  const folder = await modelFolder(place);
  return folder !== null && familyEntry(folder).then(() => true, (error: unknown) => { if (error instanceof UserError) return false; throw error; });
};

/** The weights of a published model; undefined when there are none, or several that could be meant. */
async function weightsIn(folder: string): Promise<string | undefined> {
  const names = new Set(await readdir(folder));
  const usual = WEIGHTS.find((name) => names.has(name));
  if (usual !== undefined) return path.join(folder, usual);
  const others = [...names].filter((name) => OTHER_WEIGHTS.test(name) && !/^(?:optimizer|scheduler|training_args|rng_state)/i.test(name));
  return others.length === 1 ? path.join(folder, others[0]!) : undefined;
}

/**
 * What a bitlens.json would say of a published model: the source of its family, its class, config.json as the constructor's argument.
 *
 * @throws UserError when config.json is broken, or of a family or class that is not known here.
 */
export async function familyEntry(folder: string, chosen?: string): Promise<ModelEntry> {
  const file = path.join(folder, CONFIG_JSON);
  const values = new JsonValue(await readJsonFile(file, 'configuration'), '', file).members();
  const type = values.get('model_type')?.string();
  const known = [...FAMILIES.keys()].join(', ');
  if (type === undefined) throw new UserError(`${file} names no "model_type", so that it does not say which network this is. Name the Python source instead, or one of: ${known}`);
  const made = FAMILIES.get(type);
  if (!made) throw new UserError(`${file}: no network of the model_type ${JSON.stringify(type.slice(0, 80))} is built in.${didYouMean(type, [...FAMILIES.keys()])} There are: ${known}. Name the Python source of the model instead`);
  const architectures = values.get('architectures');
  const { classes, alias } = made;
  const published = architectures && architectures.value !== null ? architectures.items()[0]?.string() : undefined;
  const named = chosen ?? (published !== undefined && alias && published.startsWith(alias.theirs) ? `${alias.ours}${published.slice(alias.theirs.length)}` : published) ?? classes[0]!;
  if (!classes.includes(named)) {
    throw new UserError(`${file}: ${JSON.stringify(named.slice(0, 80))} is not built in for the model_type ${type}.${didYouMean(named, classes)} There are: ${classes.join(', ')}; choose one with ${folder}:CLASS`);
  }
  const config = made.part === undefined ? values : values.get(made.part)?.members() ?? new JsonValue({}, '', file).fail(`is of the model_type ${type} and has no "${made.part}"`);
  checkValues(config);
  const checkpoint = await weightsIn(folder);
  return {
    source: path.join(assetPath('families'), made.file), folder, class: named,
    args: { config: record([...config].map(([name, { value }]) => [name, value] as const)) },
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

const SIZES = new Set(['vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'max_position_embeddings', 'type_vocab_size', 'n_embd', 'n_layer', 'n_head',
  'n_positions', 'dim', 'hidden_dim', 'n_layers', 'n_heads', 'embedding_size', 'num_channels']);
const SIZES_OR_NULL = new Set(['num_key_value_heads', 'head_dim', 'n_inner', 'sliding_window', 'original_max_position_embeddings']);
const OBJECTS = new Set(['rope_scaling', 'rope_parameters', 'id2label']);
/** More than any network has of anything. */
const MOST = 2 ** 31;
const MOST_LAYERS = 4096;

/** Values that the sources calculate with: a wrong kind would come out as a puzzle far from its cause. @throws UserError */
function checkValues(config: ReadonlyMap<string, JsonValue>): void {
  for (const [name, value] of config) {
    if (SIZES.has(name) || (SIZES_OR_NULL.has(name) && value.value !== null)) {
      const size = value.number(1);
      if (!Number.isInteger(size)) value.fail(`must be a whole number, not ${size}`);
      const most = /layers?$/.test(name) ? MOST_LAYERS : MOST;
      if (size > most) value.fail(`must be at most ${most}`);
    } else if (OBJECTS.has(name) && value.value !== null) value.members();
  }
}

/** Arguments with what only the names in the checkpoint tell: the first BERT weights call a norm's parameters gamma and beta. */
export function argumentsFor(args: Readonly<Record<string, unknown>>, checkpoint: Checkpoint): Readonly<Record<string, unknown>> {
  if (!checkpoint.tensors.some(({ name }) => name.endsWith('LayerNorm.gamma'))) return args;
  return { ...args, config: { ...(args.config as object), norm_parameters: 'gamma' } };
}
