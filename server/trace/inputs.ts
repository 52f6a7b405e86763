/** What a model is given: read off the names of forward's parameters, and off the layers that come first. */
import type { OnnxType } from '../../kernels/graph/onnx-types';
import { asNumber } from '../python/evaluation/iteration';
import type { Machine } from '../python/evaluation/machine';
import { walkModules } from '../python/library/nn-module';
import { Instance, PyFunction, PyList, PyTuple, Tensor, type Value } from '../python/values/values';

export interface InputSpec {
  readonly name: string;
  readonly type: OnnxType;
  /** Sizes; a text is a free dimension of that name. */
  readonly shape: readonly (number | string)[];
}

/** Edge lengths of pictures that are tried, the usual ones first. */
const EDGES = [224, 32, 28, 64, 256, 128, 96, 299, 384, 512, 48, 16];
const TOKENS = /^(idx|input_?ids?|ids|tokens?|token_ids|src|tgt|trg|text|texts|indices|captions?|seqs?|sequences?|decoder_input_ids|words?|input_tokens|prompt|inputs?_?tokens?)$/i;
const STEPS = /^(t|ts|time|times|timestep|timesteps|steps?|sigma|noise_level|noise_labels|time_steps?)$/i;
const CLASSES = /^(y|labels?|class(es)?|class_labels?|c)$/i;
const MASKS = /mask/i;
/** What another model or encoder gives: a sequence of vectors. */
const CONTEXT = /^(context|memory|xa|cond(itioning)?|encoder_hidden_states|enc(oder)?_out(puts?)?)$/i;
/** Which nodes of a graph are joined. */
const ADJACENCY = /^(adj\w*|adjacency\w*|a_hat|laplacian)$/i;
/** Numbers that forward is told beside its tensors: where a sequence continues. */
const OFFSETS = /^(start_pos|offset|past_length|position_offset|cache_position)$/;
/** Steps of diffusion, which public code gives a default of None and then needs. */
const OPTIONAL_STEPS = /^(timesteps?|time_?steps?|noise_levels?)$/;
const OTHERS = /^(inputs_embeds|pixel_values|input_values|input_features)$/;

/** Lists of inputs to try, the likeliest first. */
export function inputCandidates(machine: Machine, root: Instance, data: { readonly shape: readonly number[]; readonly whole: boolean } | null): readonly (readonly InputSpec[])[] {
  const forward = root.cls.lookup('forward');
  const parameters = forward instanceof PyFunction ? forward.definition.parameters.slice(1).filter(({ kind }) => kind !== 'kwargs') : [];
  const given = new Set(plainArguments(root).keys());
  const defaults = forward instanceof PyFunction ? forward.defaults : new Map<string, Value>();
  const contextWidth = wholeOf(root, ['context_dim', 'cross_attention_dim']);
  const wanted = (name: string): boolean => !defaults.has(name) || (defaults.get(name) === null && (OPTIONAL_STEPS.test(name) || (CONTEXT.test(name) && contextWidth !== undefined)));
  const required = parameters.filter(({ kind, name }) => kind !== 'varargs' && kind !== 'keyword' && !defaults.has(name) && !given.has(name));
  const needed = required.length === 0 ? [] : parameters.filter(({ kind, name }) => kind !== 'varargs' && kind !== 'keyword' && wanted(name) && !given.has(name));
  // Where everything has a default, the first is what the model is for.
  const names = needed.length > 0 ? needed.map(({ name }) => name) : [parameters.find(({ name }) => TOKENS.test(name) || OTHERS.test(name))?.name ?? parameters[0]?.name ?? 'input'];
  const first = names[0]!;
  if (needed.length === 0 && parameters.length > 0 && parameters[0]!.name !== first) names.splice(0, names.length, parameters[0]!.name);
  const shapes = firstShapes(machine, root, first, data);
  return shapes.map((shape) => [{ ...shape, name: first }, ...names.slice(1).map((name): InputSpec => otherInput(root, name, shape, contextWidth))]);
}

/** What a recurrent net remembers from the call before. */
const STATES = /^(hidden|hx|h_?0|hidden_?states?|states?|prev_?(state|hidden))$/i;
const isRecurrent = (root: Instance): boolean => walkModules(root).some(({ module }) => module.cls.mro.some(({ span, name }) => span === null && /^(LSTM|GRU|RNN)$/.test(name)));

/** Parameters of forward that are plain numbers, not tensors, with what they are taken to be; of a recurrent net also its state, which begins as none. */
export function plainArguments(root: Instance): ReadonlyMap<string, Value> {
  const forward = root.cls.lookup('forward');
  const found = new Map<string, Value>();
  if (!(forward instanceof PyFunction)) return found;
  for (const [index, { name, kind, annotation }] of forward.definition.parameters.slice(1).entries()) {
    if (forward.defaults.has(name) || kind === 'varargs' || kind === 'kwargs') continue;
    if (index > 0 && STATES.test(name) && isRecurrent(root)) found.set(name, null);
    const type = annotation?.kind === 'name' ? annotation.name : '';
    if (type === 'bool') found.set(name, false);
    else if (type === 'int' || (type === '' && OFFSETS.test(name))) found.set(name, 0);
  }
  return found;
}

/** A whole number that the constructor was given or keeps under one of these names. */
function wholeOf(root: Instance, names: readonly string[]): number | undefined {
  for (const name of names) {
    const count = asNumber(root.arguments.get(name) ?? null) ?? asNumber(root.attributes.get(name) ?? null);
    if (count !== undefined && Number.isInteger(count)) return count;
  }
  return undefined;
}
/** Width of the vectors that the model works on: that of its first embedding or norm. */
function widthOf(root: Instance): number | undefined {
  for (const { module } of walkModules(root).slice(0, 200)) {
    const width = asNumber(module.attributes.get('embedding_dim') ?? null) ?? lastOf(module.attributes.get('normalized_shape'));
    if (width !== undefined) return width;
  }
  return undefined;
}

function otherInput(root: Instance, name: string, first: Omit<InputSpec, 'name'>, contextWidth: number | undefined): InputSpec {
  if (ADJACENCY.test(name)) return { name, type: 'F32', shape: [...first.shape.slice(0, -2), first.shape.at(-2) ?? 'batch', first.shape.at(-2) ?? 'batch'] };
  if (CONTEXT.test(name)) { const width = contextWidth ?? widthOf(root); if (width !== undefined) return { name, type: 'F32', shape: ['batch', 'source', width] }; }
  // A picture and its text.
  if (TOKENS.test(name) && first.type === 'F32' && first.shape.length === 4) return { name, type: 'I64', shape: ['batch', wholeOf(root, ['context_length', 'max_text_len', 'max_seq_len']) ?? 'sequence'] };
  if (STEPS.test(name)) return { name, type: 'I64', shape: ['batch'] };
  if (CLASSES.test(name) && first.shape.length === 4) return { name, type: 'I64', shape: ['batch'] };
  if (MASKS.test(name)) return { name, type: 'I64', shape: first.shape.slice(0, 2) };
  if (TOKENS.test(name) && first.type === 'I64') return { name, type: 'I64', shape: first.shape };
  return { name, type: first.type, shape: first.shape };
}

function firstShapes(machine: Machine, root: Instance, name: string, data: { readonly shape: readonly number[]; readonly whole: boolean } | null): Omit<InputSpec, 'name'>[] {
  const found: Omit<InputSpec, 'name'>[] = [];
  const add = (type: OnnxType, ...shape: (number | string)[]): void => { if (!found.some((each) => each.type === type && String(each.shape) === String(shape))) found.push({ type, shape }); };
  if (data && data.shape.length > 0) {
    const [, ...rest] = data.shape;
    if (data.whole && rest.length === 1) add('I64', 'batch', 'sequence');
    else if (data.whole && rest.length >= 3) add('F32', 'batch', ...rest);
    else add(data.whole ? 'I64' : 'F32', 'batch', ...rest);
    // Pictures are often stored with channels last.
    if (rest.length === 3 && rest[2]! <= 4) add('F32', 'batch', rest[2]!, rest[0]!, rest[1]!);
  }
  if (TOKENS.test(name)) add('I64', 'batch', 'sequence');
  const edges = edgesOf(machine, root);
  const modules = walkModules(root).map(({ module }) => module);
  for (const module of modules.slice(0, 400)) {
    const kind = module.cls.mro.find((cls) => cls.span === null)?.name ?? '';
    const number = (attribute: string): number | undefined => { const value = module.attributes.get(attribute) ?? module.arguments.get(attribute); return value === undefined ? undefined : asNumber(value); };
    if (kind === 'Embedding' || kind === 'EmbeddingBag') { add('I64', 'batch', 'sequence'); add('I64', 'batch'); }
    else if (kind === 'Conv2d') {
      const c = number('in_channels');
      if (c === undefined) continue;
      add('F32', 'batch', c, 'height', 'width');
      for (const edge of edges) add('F32', 'batch', c, edge, edge);
      // Several pictures joined, and sequences of pictures.
      if (c > 4) for (const edge of edges.slice(0, 3)) add('F32', 'batch', 3, edge, edge);
      if (c <= 12) add('F32', 'batch', 5, Math.min(c, 3), 64, 64);
    }
    else if (kind === 'Conv1d') { const c = number('in_channels'); if (c !== undefined) for (const length of [128, 1024, 3000, 16000]) { add('F32', 'batch', c, length); if (c === 1) add('F32', 'batch', length); else add('F32', 'batch', length, c); } }
    else if (kind === 'Conv3d') { const c = number('in_channels'); if (c !== undefined) for (const edge of [32, 64, 112]) add('F32', 'batch', c, 16, edge, edge); }
    else if (kind === 'ConvTranspose2d') { const c = number('in_channels'); if (c !== undefined) { add('F32', 'batch', c, 1, 1); add('F32', 'batch', c); } }
    else if (kind === 'Linear' || kind === 'LazyLinear') {
      const f = number('in_features');
      if (f === undefined) continue;
      add('F32', 'batch', f);
      add('F32', 'batch', 'sequence', f);
      for (const channels of [1, 3]) { const edge = Math.sqrt(f / channels); if (Number.isInteger(edge) && edge >= 8) add('F32', 'batch', channels, edge, edge); }
    } else if (/^(LSTM|GRU|RNN)Cell$/.test(kind)) { const f = number('input_size'); if (f !== undefined) add('F32', 'batch', f); }
    else if (kind === 'LSTM' || kind === 'GRU' || kind === 'RNN') {
      const f = number('input_size');
      if (f === undefined) continue;
      add('F32', 'batch', 'sequence', f);
      // Pictures read row by row.
      if (f >= 8 && f <= 64) { add('F32', 'batch', 1, f, f); add('F32', 'batch', f, f); }
    }
    else if (kind === 'MultiheadAttention') for (const f of [number('kdim'), number('embed_dim')]) { if (f !== undefined) add('F32', 'batch', 'sequence', f); }
    else if (kind === 'Rearrange') { for (const edge of edges.slice(0, 4)) add('F32', 'batch', channelsOf(root), edge, edge); }
    else if (kind === 'LayerNorm' || kind === 'RMSNorm' || kind === 'TransformerEncoderLayer') { const f = lastOf(module.attributes.get('normalized_shape')) ?? number('d_model'); if (f !== undefined) { add('F32', 'batch', 'sequence', f); add('F32', 'batch', f); } }
    else if (kind === 'BatchNorm2d') { const c = number('num_features'); if (c !== undefined) { add('F32', 'batch', c, 'height', 'width'); for (const edge of [32, 64]) add('F32', 'batch', c, edge, edge); } }
    if (found.length >= 40) break;
  }
  if (found.length === 0) {
    // Weights used by hand: their last dimension is what they are multiplied with.
    for (const [, value] of modules.flatMap((module) => [...module.parameters])) {
      const width = value instanceof Tensor && value.shape?.length === 2 ? value.shape[1] : null;
      if (typeof width === 'number') { add('F32', 'batch', width); add('F32', 'batch', 'sequence', width); }
      // Or their first: `x @ weight`.
      const height = value instanceof Tensor && value.shape?.length === 2 ? value.shape[0] : null;
      if (typeof height === 'number') { add('F32', 'batch', height); add('F32', 'batch', 'sequence', height); }
    } add('F32', 'batch', 3, 224, 224); add('I64', 'batch', 'sequence'); add('F32', 'batch', 'sequence', 64); }
  return found;
}
/** How many channels the constructor was told pictures have; three otherwise. */
function channelsOf(root: Instance): number {
  for (const name of ['channels', 'in_channels', 'in_chans', 'num_channels']) { const count = asNumber(root.arguments.get(name) ?? null); if (count !== undefined) return count; }
  return 3;
}
function lastOf(value: Value | undefined): number | undefined {
  const last = value instanceof PyTuple || value instanceof PyList ? value.items.at(-1) : value;
  return last === undefined ? undefined : asNumber(last);
}

/** Edge lengths: what the constructors call the size of a picture comes first. */
function edgesOf(_machine: Machine, root: Instance): number[] {
  const named = new Set<number>();
  for (const { module } of walkModules(root).slice(0, 60)) {
    for (const map of [module.arguments, module.attributes]) {
      for (const [name, value] of map) {
        if (!/^(img_size|image_size|input_size|resolution|img_dim|image_resolution|input_resolution|im_size)$/.test(name)) continue;
        const size = value instanceof PyTuple || value instanceof PyList ? value.items.map((item) => asNumber(item)).filter((item): item is number => item !== undefined).at(-1) : asNumber(value);
        if (size !== undefined && size >= 8 && size <= 2048) named.add(size);
      }
    }
    const config = module.attributes.get('config');
    if (config instanceof Instance) {
      const size = asNumber(config.attributes.get('image_size') ?? config.attributes.get('img_size') ?? null);
      if (size !== undefined) named.add(size);
    }
  }
  return [...named, ...EDGES.filter((edge) => !named.has(edge))];
}
