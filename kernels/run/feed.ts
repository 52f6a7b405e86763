/** Hands the samples of a dataset to a graph, batch by batch. */
import { createHash } from 'node:crypto';
import type { Dataset } from '../data/data';
import type { Graph, GraphValue } from '../graph/graph';
import type { NamedArray } from './run-model';

/** Bytes of one batch of inputs that make a good size: large enough to keep the cores busy, small enough to be cancelled between. */
const BATCH_BYTES = 2 ** 20;
const MOST_IN_BATCH = 128;

/** Names of inputs that say which tokens count: all of them do. */
const MASK = /mask/i;
/** Names of whole-number inputs that are zero unless one says otherwise. */
const ZERO = /token_type|segment|position_offset|start_pos|past|offset|use_cache|unique_id/i;
/** Names of inputs that number the tokens from 0. */
const POSITIONS = /^(?:position_ids|positions?|cache_position)$/i;
/** Free dimensions that count tokens: those before the data, of which there are none, and all together. */
const PAST = /past|cache/i;
const TOTAL = /total|\+/i;

export class Feed {
  /** Samples of one batch. */
  readonly batch: number;
  private readonly fixed: boolean;
  /** The input that the samples are. */
  readonly main: GraphValue;
  /** Pictures are [channels, height, width], and the model has its channels last. */
  private readonly turned: boolean;

  /**
   * @throws Error when the samples do not fit the model's first input, naming both shapes.
   */
  constructor(private readonly graph: Graph, readonly dataset: Dataset) {
    const { shape, whole } = dataset.sample;
    const fits = ({ shape: [, ...wanted] }: GraphValue): boolean => wanted.length === shape.length && wanted.every((dim, i) => typeof dim === 'string' || dim === shape[i]);
    const fitsTurned = ({ shape: [, height, width, channels, ...more] }: GraphValue): boolean => shape.length === 3 && more.length === 0 && channels === shape[0] && [height, width].every((dim, i) => typeof dim === 'string' || dim === shape[i + 1]);
    const takes = ({ type }: GraphValue): boolean => whole || type === 'F32' || type === 'U8';
    const first = this.main = mainInput(graph, (input) => fits(input) && takes(input), (input) => fitsTurned(input) && takes(input));
    this.turned = !fits(first) && fitsTurned(first);
    const wanted = first.shape.slice(1);
    if (!fits(first) && !this.turned) throw new Error(`the model takes samples of shape [${wanted.join(', ')}] as ${JSON.stringify(first.name)}, and ${dataset.title} has samples of shape [${shape.join(', ')}]`);
    if (first.type === 'I64' && !whole) throw new Error(`the model takes whole numbers (token ids) as ${JSON.stringify(first.name)}, and ${dataset.title} holds fractions`);
    const lead = first.shape[0];
    this.fixed = typeof lead === 'number';
    const bytes = Math.max(1, shape.reduce((a, b) => a * b, 1)) * (whole ? 8 : 4);
    this.batch = typeof lead === 'number' ? Math.max(1, lead) : Math.max(1, Math.min(MOST_IN_BATCH, Math.floor(BATCH_BYTES / bytes), whole ? Math.max(1, Math.floor(4096 / Math.max(1, shape[0] ?? 1))) : MOST_IN_BATCH));
  }

  /** Index lists, one for each batch. */
  batches(indices: readonly number[]): number[][] {
    return Array.from({ length: Math.ceil(indices.length / this.batch) }, (_, i) => indices.slice(i * this.batch, (i + 1) * this.batch));
  }

  /** Samples that the model is handed for so many: more where its batch is fixed. */
  fed(samples: number): number {
    return this.fixed ? Math.max(this.batch, samples) : samples;
  }

  /** Inputs of the model for these samples. A model with a batch of its own is given the last sample again to fill it up. */
  inputs(indices: readonly number[]): Map<string, NamedArray> {
    const filled = this.fixed ? [...indices, ...new Array<number>(Math.max(0, this.batch - indices.length)).fill(indices.at(-1)!)] : indices;
    const samples = this.dataset.inputs(filled);
    const data = asType(this.turned ? channelsLast(samples) : samples, this.main);
    return new Map(this.graph.inputs.map((input) => [input.name, input === this.main ? data : otherInput(input, data, this.main)] as const));
  }
}

/** The first input that the samples fit in one of these ways, and whose name is not that of something beside them; else the first. @throws Error when there is none */
export function mainInput({ inputs }: Graph, ...ways: ((input: GraphValue) => boolean)[]): GraphValue {
  const own = inputs.filter(({ name }) => ![MASK, ZERO, POSITIONS].some((aside) => aside.test(name)));
  const found = ways.reduce<GraphValue | undefined>((known, fits) => known ?? own.find(fits) ?? inputs.find(fits), undefined) ?? inputs[0];
  if (!found) throw new Error('the model takes no input');
  return found;
}

/** [N, C, H, W] to [N, H, W, C]. */
function channelsLast(array: NamedArray): NamedArray {
  const [samples, channels, height, width] = array.shape as [number, number, number, number];
  const places = height * width;
  const from = array.data as Float32Array;
  const data = new (from.constructor as new (length: number) => Float32Array)(from.length);
  for (let n = 0, at = 0; n < samples; n += 1) for (let place = 0; place < places; place += 1) for (let c = 0; c < channels; c += 1, at += 1) data[at] = from[(n * channels + c) * places + place]!;
  return { ...array, shape: [samples, height, width, channels], data };
}

function asType(array: NamedArray, input: GraphValue): NamedArray {
  if (array.type === input.type) return array;
  if (input.type === 'F32') return { ...array, type: 'F32', data: Float32Array.from(array.data as ArrayLike<unknown> as ArrayLike<number>, Number) };
  if (input.type === 'I32' && array.type === 'I64') return { ...array, type: 'I32', data: Int32Array.from(array.data as BigInt64Array, Number) };
  if (input.type === 'U8') {
    const values = array.data as ArrayLike<number | bigint>;
    for (let i = 0; i < values.length; i += 1) if (!(Number.isInteger(Number(values[i])) && values[i]! >= 0 && values[i]! <= 255)) throw new Error(`the model takes bytes as ${JSON.stringify(input.name)}, and the samples hold ${String(values[i])}: give them without scale, mean and std`);
    return { ...array, type: 'U8', data: Uint8Array.from(values as ArrayLike<number>, Number) };
  }
  throw new Error(`the model takes ${input.type} as ${JSON.stringify(input.name)}, and the samples are ${array.type}`);
}

/** Inputs beside the data: masks let everything through, types of tokens are zero, nothing came before, positions count from 0. */
function otherInput(input: GraphValue, first: NamedArray, main: GraphValue): NamedArray {
  const shape = input.shape.map((dim, i) => (typeof dim === 'number' ? dim : freeSize(dim, i, first, main)));
  const count = shape.reduce((a, b) => a * b, 1);
  const fill = MASK.test(input.name) ? 1 : ZERO.test(input.name) ? 0 : POSITIONS.test(input.name) && shape.length > 0 ? 'positions' : null;
  if (fill === null) throw new Error(`the model also takes ${JSON.stringify(input.name)}, for which the data has nothing; give the model a forward with one input, or a default for this one`);
  const value = (i: number): number => (fill === 'positions' ? i % shape.at(-1)! : fill);
  const values = <T>(array: { [i: number]: T; readonly length: number }, as: (number: number) => T): void => { for (let i = 0; i < array.length; i += 1) array[i] = as(value(i)); };
  switch (input.type) {
    case 'I64': { const data = new BigInt64Array(count); values(data, BigInt); return { type: 'I64', shape, data }; }
    case 'I32': { const data = new Int32Array(count); values(data, Number); return { type: 'I32', shape, data }; }
    case 'BOOL': { const data = new Uint8Array(count); values(data, Number); return { type: 'BOOL', shape, data }; }
    case 'F32': { const data = new Float32Array(count); values(data, Number); return { type: 'F32', shape, data }; }
    default: throw new Error(`the model also takes ${JSON.stringify(input.name)} as ${input.type}, which is not made up`);
  }
}

/** How large a free dimension of another input is beside the data. */
function freeSize(dim: string, position: number, first: NamedArray, main: GraphValue): number {
  const same = main.shape.indexOf(dim);
  if (same >= 0) return first.shape[same]!;
  if (position > 0 && TOTAL.test(dim)) return first.shape[1] ?? 1;
  if (position > 0 && PAST.test(dim)) return 0;
  return first.shape[position] ?? 1;
}

/** The first `samples` of a dataset. @throws Error for none. */
export function firstSamples(dataset: Dataset, samples?: number): number[] {
  const count = Math.min(dataset.count, samples ?? dataset.count);
  if (count < 1) throw new Error(`${dataset.title} gives no samples; a measurement needs at least one`);
  return Array.from({ length: count }, (_, i) => i);
}

/**
 * Samples in an order that depends on their contents alone: sums over them are then the same, bit for bit, in whatever order
 * they lie in the file.
 */
export function byContent(dataset: Dataset, indices: readonly number[]): number[] {
  const keyed = indices.map((index) => {
    const { data } = dataset.inputs([index]);
    return { index, key: createHash('sha1').update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).digest('hex') };
  });
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index)).map(({ index }) => index);
}

/** The output that a task is about: the one called logits, else the first of floating-point numbers. @throws Error when there is none. */
export function mainOutput(graph: Graph): GraphValue {
  const floats = graph.outputs.filter(({ type }) => type === 'F32');
  const found = floats.find(({ name }) => /(^|\.)(logits|output)$/.test(name)) ?? floats[0];
  if (!found) throw new Error('the model gives no floating-point output');
  return found;
}
