/** Which tensor of one checkpoint is which of another: by name, by name without prefixes, by the names that other formats use. */
import type { Checkpoint, TensorInfo } from '../../kernels/checkpoint/checkpoint';
import { modelTensors } from '../../kernels/checkpoint/checkpoint';
import { decoderName } from '../../kernels/checkpoint/gguf-architectures';
import type { TensorView } from '../../kernels/jobs/job';

export type MatchedBy = 'name' | 'prefix' | 'known names' | 'values';

export interface TensorPair {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly by: MatchedBy;
  /** How `b` is read to stand beside `a`, the likeliest first. Empty: the shapes cannot be the same tensor's. */
  readonly views: readonly TensorView[];
}

export interface TensorMatch {
  readonly pairs: readonly TensorPair[];
  readonly onlyA: readonly TensorInfo[];
  readonly onlyB: readonly TensorInfo[];
  /** How names were brought together, in words; empty when they are the same. */
  readonly mapping: readonly string[];
}

/** Tensors beyond which only equal names are matched: looking for prefixes keeps every ending of every name. */
const MOST_FOR_PREFIXES = 300_000;
/** Prefixes taken off, one after another (a file of several models has several). */
const MOST_PREFIXES = 8;

export function matchTensors(a: Checkpoint, b: Checkpoint): TensorMatch {
  const [tensorsA, tensorsB] = [modelTensors(a), modelTensors(b)];
  const pairs: TensorPair[] = [];
  const mapping: string[] = [];
  let [left, right] = [named(tensorsA), named(tensorsB)];
  const pairUp = (by: MatchedBy): void => {
    const taken = new Set<string>();
    for (const [name, tensor] of left) {
      const other = right.get(name);
      if (!other) continue;
      pairs.push({ a: tensor, b: other, by, views: viewsOf(tensor, other, a, b) });
      taken.add(name);
    }
    for (const name of taken) {
      left.delete(name);
      right.delete(name);
    }
  };
  pairUp('name');
  if (left.size > 0 && right.size > 0 && (a.format === 'gguf') !== (b.format === 'gguf')) {
    const before = pairs.length;
    if (a.format === 'gguf') left = named(tensorsOf(left), ofDecoder);
    else right = named(tensorsOf(right), ofDecoder);
    pairUp('known names');
    if (pairs.length > before) mapping.push('names of llama.cpp read as those of PyTorch (blk.0.attn_q = model.layers.0.self_attn.q_proj)');
  }
  for (let round = 0; round < MOST_PREFIXES && left.size > 0 && right.size > 0 && left.size + right.size <= MOST_FOR_PREFIXES; round += 1) {
    const prefixes = likeliestPrefixes([...left.keys()], [...right.keys()]);
    if (!prefixes) break;
    const before = pairs.length;
    const without = (names: Map<string, TensorInfo>, prefix: string): { cut: Map<string, TensorInfo>; rest: Map<string, TensorInfo> } => {
      const [cut, rest] = [new Map<string, TensorInfo>(), new Map<string, TensorInfo>()];
      for (const [name, tensor] of names) (name.startsWith(prefix) && name.length > prefix.length ? cut : rest).set(name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name, tensor);
      return { cut, rest };
    };
    const [inA, inB] = [without(left, prefixes[0]), without(right, prefixes[1])];
    [left, right] = [inA.cut, inB.cut];
    pairUp('prefix');
    // What is left keeps its whole name for the next round.
    left = new Map([...inA.rest, ...[...left].map(([name, tensor]) => [prefixes[0] + name, tensor] as const)]);
    right = new Map([...inB.rest, ...[...right].map(([name, tensor]) => [prefixes[1] + name, tensor] as const)]);
    if (pairs.length === before) break;
    mapping.push(`${prefixes[0] === '' ? 'nothing' : `"${prefixes[0]}"`} in the first stands for ${prefixes[1] === '' ? 'nothing' : `"${prefixes[1]}"`} in the second`);
  }
  return { pairs, onlyA: tensorsOf(left), onlyB: tensorsOf(right), mapping };
}

/** Names of GGUF files whose architecture the reader does not know. */
const ofDecoder = (name: string): string => decoderName(name) ?? name;

const tensorsOf = (names: Map<string, TensorInfo>): TensorInfo[] => [...names.values()];

function named(tensors: readonly TensorInfo[], rename: (name: string) => string = (name) => name): Map<string, TensorInfo> {
  const names = new Map<string, TensorInfo>();
  for (const tensor of tensors) {
    const name = rename(tensor.name);
    // Two that would be called the same keep their own names.
    names.set(names.has(name) ? tensor.name : name, tensor);
  }
  return names;
}

/**
 * The pair of prefixes that brings most names together: every name is held against the longest ending that exactly one name
 * of the other side has.
 */
function likeliestPrefixes(namesA: readonly string[], namesB: readonly string[]): readonly [string, string] | null {
  const endings = new Map<string, string | null>();
  for (const name of namesB) for (const at of starts(name)) endings.set(name.slice(at), endings.has(name.slice(at)) ? null : name);
  const votes = new Map<string, { readonly prefixes: readonly [string, string]; count: number }>();
  for (const name of namesA) {
    for (const at of starts(name)) {
      const other = endings.get(name.slice(at));
      if (other === undefined) continue;
      if (other !== null) {
        const prefixes = [name.slice(0, at), other.slice(0, other.length - (name.length - at))] as const;
        const key = JSON.stringify(prefixes);
        const vote = votes.get(key) ?? { prefixes, count: 0 };
        vote.count += 1;
        votes.set(key, vote);
      }
      break;
    }
  }
  let best: { readonly prefixes: readonly [string, string]; count: number } | null = null;
  for (const vote of votes.values()) if (!best || vote.count > best.count) best = vote;
  return best && best.prefixes[0] !== best.prefixes[1] ? best.prefixes : null;
}

/** Where the parts of a name start, the longest ending first. A last part alone (`weight`) says nothing, unless it is all. */
function* starts(name: string): Generator<number> {
  for (let at = 0; ;) {
    const next = name.indexOf('.', at);
    if (next < 0 && at > 0) return;
    yield at;
    if (next < 0) return;
    at = next + 1;
  }
}

/** The ways in which `b` may hold what `a` holds. */
export function viewsOf(a: TensorInfo, b: TensorInfo, in_a: Checkpoint, in_b: Checkpoint): TensorView[] {
  const [pairs, halves] = [headsOf(b, in_b), headsOf(a, in_a)];
  const views: TensorView[] = [];
  if (sameShape(squeezed(a.shape), squeezed(b.shape))) {
    views.push({ kind: 'same' });
    if (pairs !== null) views.push({ kind: 'heads', heads: pairs, stored: 'pairs' });
    else if (halves !== null) views.push({ kind: 'heads', heads: halves, stored: 'halves' });
  }
  if (a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === b.shape[1] && a.shape[1] === b.shape[0]) views.push({ kind: 'transposed' });
  return views;
}

const squeezed = (shape: readonly number[]): number[] => shape.filter((dim) => dim !== 1);
const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((dim, i) => dim === b[i]);

/** llama.cpp stores the rows of query and key weights of Llama models in the order of its rotary embedding: how many heads there are. */
function headsOf(tensor: TensorInfo, checkpoint: Checkpoint): number | null {
  if (checkpoint.format !== 'gguf') return null;
  const which = /^blk\.\d+\.attn_(q|k)\.(?:weight|bias)$/.exec(tensor.name)?.[1];
  if (!which) return null;
  const text = (key: string): string | undefined => checkpoint.metadata.find(([name]) => name === key)?.[1];
  const architecture = text('general.architecture');
  const count = Number((which === 'k' ? text(`${architecture}.attention.head_count_kv`) : undefined) ?? text(`${architecture}.attention.head_count`));
  return Number.isSafeInteger(count) && count > 0 ? count : null;
}
