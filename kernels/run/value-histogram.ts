/** How often values of a model lie where, over many samples: what ranges of quantized activations are found from. */
import { subgraph } from '../graph/cut';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';

/** Bins of equal width between the extremes. */
const BINS = 4096;

export interface ValueHistogram {
  /** Of all finite values; minimum <= maximum. */
  readonly minimum: number;
  readonly maximum: number;
  /** Values in each of equally wide bins from minimum to maximum. */
  readonly counts: Float64Array;
}

/** Middle of a bin. */
export function binCenter({ minimum, maximum, counts }: ValueHistogram, bin: number): number {
  return minimum + ((bin + 0.5) * (maximum - minimum)) / counts.length;
}

/** Histogram of values that are held. Null when none is finite. */
export function histogramOf(chunks: Iterable<Float32Array>, again: Iterable<Float32Array>): ValueHistogram | null {
  let [minimum, maximum] = [Infinity, -Infinity];
  for (const data of chunks) [minimum, maximum] = widened(data, minimum, maximum);
  if (minimum > maximum) return null;
  const counts = new Float64Array(BINS);
  for (const data of again) count(data, minimum, maximum, counts);
  return { minimum, maximum, counts };
}

/**
 * Histograms of values of a model on calibration data. It runs twice: for the extremes, and for what lies between.
 * @param step called before each run with the share of the work that is done; throws when cancelled
 */
export async function valueHistograms(model: PreparedModel, feed: Feed, indices: readonly number[], names: readonly string[], step: (share: number) => void): Promise<Map<string, ValueHistogram>> {
  const own = new Set(model.graph.inputs.map(({ name }) => name));
  const outside = names.filter((name) => !own.has(name));
  const batches = feed.batches(indices);
  const found = new Map<string, { minimum: number; maximum: number; counts: Float64Array }>(names.map((name) => [name, { minimum: Infinity, maximum: -Infinity, counts: new Float64Array(BINS) }]));
  const running = outside.length > 0 ? await model.start(subgraph(model.graph, [], outside)) : null;
  try {
    for (const pass of [0, 1]) {
      for (const [b, batch] of batches.entries()) {
        step((pass * batches.length + b) / (2 * batches.length));
        const inputs = feed.inputs(batch);
        const arrays = new Map([...inputs, ...running ? await running.run(inputs) : []]);
        for (const [name, histogram] of found) {
          const data = arrays.get(name)!.data as Float32Array;
          if (pass === 0) [histogram.minimum, histogram.maximum] = widened(data, histogram.minimum, histogram.maximum);
          else count(data, histogram.minimum, histogram.maximum, histogram.counts);
        }
      }
    }
  } finally { await running?.close(); }
  return new Map([...found].filter(([, { minimum, maximum }]) => minimum <= maximum));
}

function widened(data: Float32Array, minimum: number, maximum: number): [number, number] {
  let [low, high] = [minimum, maximum];
  for (const value of data) if (Number.isFinite(value)) { if (value < low) low = value; if (value > high) high = value; }
  return [low, high];
}
function count(data: Float32Array, minimum: number, maximum: number, counts: Float64Array): void {
  const scale = maximum > minimum ? counts.length / (maximum - minimum) : 0;
  for (const value of data) if (Number.isFinite(value)) counts[Math.min(counts.length - 1, Math.floor((value - minimum) * scale))]! += 1;
}
