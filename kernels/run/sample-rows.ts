/** Values of a graph on single samples, as rows of channels: what proxies look at, and where in the graph it is. */
import type { Graph, GraphValue } from '../graph/graph';
import { readsOf, valueTypes } from '../graph/cut';
import type { SampleRows } from '../methods/method';
import type { NamedArray } from './run-model';
import type { LayerSite } from './sites';

/** Positions of one sample that are looked at, evenly spaced. */
const MOST_POSITIONS = 64;

/**
 * One sample of a batch. Samples are the first dimension, or the first of those that were joined to it.
 *
 * @param channelAxis dimension of the channels in the whole array
 * @param samples that were handed over, also to fill up a batch
 * @returns null when the array does not divide into the samples
 */
export function rowsOf({ data, shape }: NamedArray, channelAxis: number, sample: number, samples: number): SampleRows | null {
  const channels = shape[channelAxis] ?? 0;
  const first = shape[0] ?? 0;
  if (first === 0 || first % samples !== 0 || channels === 0 || !(data instanceof Float32Array)) return null;
  if (channelAxis === 0 && samples > 1) return null;
  const per = data.length / samples;
  // Of images [channels, places]; of sequences and rows the channels come last, and one place follows another.
  const inner = shape.slice(channelAxis + 1).reduce((a, b) => a * b, 1);
  const all = per / channels;
  const positions = Math.min(all, MOST_POSITIONS);
  const out = new Float32Array(positions * channels);
  for (let p = 0; p < positions; p += 1) {
    const place = Math.floor((p * all) / positions);
    const at = sample * per + Math.floor(place / inner) * channels * inner + (place % inner);
    for (let c = 0; c < channels; c += 1) out[p * channels + c] = data[at + c * inner]!;
  }
  return { data: out, positions, channels };
}

/** Images have their channels second, sequences and rows last. */
export const channelAxisOf = (rank: number, kind: LayerSite['kind'] | null): number => (kind === 'conv' || kind === 'conv-transpose' || (kind === null && rank === 4) ? 1 : rank - 1);

/** What goes into and out of the repeated block around a module. */
export interface Block { readonly module: string; readonly input: string; readonly output: string }

/**
 * The outermost module with a number in its path (`h.3`, `layer1.0`) around this one that gives a value of the type and shape of one
 * that it takes: a step of the residual stream.
 */
export function blockAround(graph: Graph, module: string): Block | null {
  const parts = module.split('.');
  for (const [i, part] of parts.entries()) {
    if (!/^\d+$/.test(part)) continue;
    const path = parts.slice(0, i + 1).join('.');
    const found = throughOf(graph, path);
    if (found) return { module: path, ...found };
  }
  return null;
}

function throughOf(graph: Graph, path: string): { input: string; output: string } | null {
  const inside = (module: string): boolean => module === path || module.startsWith(`${path}.`);
  const own = graph.nodes.filter(({ module }) => inside(module));
  const made = new Set(own.flatMap(({ outputs }) => outputs));
  const weights = new Set(graph.initializers.map(({ name }) => name));
  const read = new Set([...graph.nodes.filter(({ module }) => !inside(module)).flatMap(readsOf), ...graph.outputs.map(({ name }) => name)]);
  const typeOf = valueTypes(graph);
  const types = (name: string): GraphValue | null => { try { const found = typeOf(name); return found.type === 'F32' && found.shape.length > 1 ? found : null; } catch { return null; } };
  const taken = [...new Set(own.flatMap(readsOf))].filter((name) => name !== '' && !made.has(name) && !weights.has(name));
  for (const output of [...made].reverse().filter((name) => read.has(name))) {
    const shape = types(output)?.shape.join(' ');
    const input = shape === undefined ? undefined : taken.find((name) => types(name)?.shape.join(' ') === shape);
    if (input !== undefined) return { input, output };
  }
  return null;
}
