/**
 * Compare: pairs of tensors of two checkpoints, value by value, whatever their files' formats. Both are streamed in pieces of
 * a few million values on the workers; sums are merged in the order of the pieces, so the result does not depend on their number.
 */
import { DTYPE_BITS, elementCount, TensorReader, type Checkpoint, type DType, type TensorInfo } from '../checkpoint';
import { MINIFLOAT_DTYPES } from '../numerics/codecs';
import { roundToMinifloat } from '../numerics/minifloat';
import { CompensatedSum } from '../numerics/sums';
import { JobError, type CompareParams, type CompareResult, type ComparedPair, type Job, type JobContext, type TensorView } from './job';
import { numberReader, numbersPerElement, rearranged, unreadable, viewOf, type NumberReader } from './numbers';
import { storedValues } from '../stored/registry';
import { assertUnchanged } from './scan';
import { filesOf, openForJob, tensorsByName, withCheckpointErrors } from './weights';

/** Elements of one task. */
const TASK_ELEMENTS = 2 ** 22;
/** Elements read at once from either side. */
const PIECE_ELEMENTS = 2 ** 18;
/** A tensor that can only be rearranged whole may have this many elements. */
const WHOLE_ELEMENTS = 2 ** 25;

interface Range { readonly pair: number; readonly a: TensorInfo; readonly b: TensorInfo; readonly view: TensorView; readonly first: number; readonly count: number }
interface CompareTask { readonly a: Checkpoint; readonly b: Checkpoint; readonly ranges: readonly Range[]; readonly work: number }
/** What one range adds: sums over its values where both are finite. */
export interface RangeSums { readonly signal: number; readonly noise: number; readonly maxError: number; readonly differing: number; readonly nonFinite: number }

export const compareJob: Job<'compare'> = {
  kind: 'compare',
  async run(params: CompareParams, context: JobContext): Promise<CompareResult> {
    const started = performance.now();
    const [a, b] = [await openForJob(params.checkpoint), await openForJob(params.other)];
    const [inA, inB] = [tensorsByName(a), tensorsByName(b)];
    const reasons = new Map<number, string>();
    const ranges: Range[] = [];
    let elements = 0;
    params.pairs.forEach((pair, index) => {
      const [left, right] = [inA.get(pair.a), inB.get(pair.b)];
      if (!left || !right) throw new JobError(`${left ? params.other : params.checkpoint} has no tensor "${(left ? pair.b : pair.a).slice(0, 200)}"`);
      const reason = incomparable(left, right, pair.view);
      if (reason !== null) {
        reasons.set(index, reason);
        return;
      }
      const total = elementCount(left.shape);
      elements += total;
      for (let first = 0; first < total; first += TASK_ELEMENTS) ranges.push({ pair: index, a: left, b: right, view: pair.view, first, count: Math.min(TASK_ELEMENTS, total - first) });
    });
    const tasks = grouped(ranges, filesOf(a), filesOf(b));
    let done = 0;
    const results = await context.map<CompareTask, RangeSums[]>('compare', tasks, ({ work }) => work, (index) => {
      done += tasks[index]!.work;
      context.progress(done, elements, 'Comparing tensors');
    });
    await assertUnchanged(a);
    await assertUnchanged(b);
    const byPair: RangeSums[][] = params.pairs.map(() => []);
    tasks.forEach((task, i) => { task.ranges.forEach((range, k) => { byPair[range.pair]!.push(results[i]![k]!); }); });
    return {
      pairs: params.pairs.map((_, index): ComparedPair => (reasons.has(index) ? { compared: false, reason: reasons.get(index)! } : summed(byPair[index]!))),
      elements, seconds: (performance.now() - started) / 1000,
    };
  },
};

/** Why two tensors cannot be compared value by value; null when they can. */
function incomparable(a: TensorInfo, b: TensorInfo, view: TensorView): string | null {
  const missing = unreadable(a) ?? unreadable(b);
  if (missing !== null) return missing;
  if (numbersPerElement(a) !== numbersPerElement(b)) return 'one is complex, the other is not';
  if (elementCount(a.shape) !== elementCount(b.shape)) return `[${a.shape.join(', ')}] and [${b.shape.join(', ')}] have different numbers of elements`;
  if (view.kind === 'heads' && (b.shape.length < 1 || b.shape[0]! % (2 * view.heads) !== 0)) return `its ${b.shape[0]} rows are not divided among ${view.heads} heads`;
  if (view.kind !== 'same' && rearranged(b, view) === null && (!b.encoding || elementCount(b.shape) > WHOLE_ELEMENTS)) return `${elementCount(b.shape)} encoded values in another order are more than can be rearranged`;
  return null;
}

/** Small ranges share a task. */
function grouped(ranges: readonly Range[], a: Checkpoint, b: Checkpoint): CompareTask[] {
  const tasks: CompareTask[] = [];
  let open: Range[] = [];
  let work = 0;
  const close = (): void => {
    if (open.length > 0) tasks.push({ a, b, ranges: open, work });
    open = [];
    work = 0;
  };
  for (const range of ranges) {
    if (work + range.count > TASK_ELEMENTS || open.length >= 256) close();
    open.push(range);
    work += range.count;
  }
  close();
  return tasks;
}

/** The worker's side. */
export async function runCompareTask(task: CompareTask, context: { throwIfCancelled(): void }): Promise<RangeSums[]> {
  const [readerA, readerB] = [TensorReader.open(task.a), TensorReader.open(task.b)];
  try {
    return await withCheckpointErrors(() => task.ranges.map((range) => {
      const left = numberReader(range.a, readerA);
      const right = inOrder(range.b, range.view, readerB);
      return compareRange(left, right, range, numbersPerElement(range.a), () => { context.throwIfCancelled(); });
    }));
  } finally {
    readerA.close();
    readerB.close();
  }
}

/** Reads a tensor in the order of the view; encoded ones are decoded whole for that. */
function inOrder(tensor: TensorInfo, view: TensorView, reader: TensorReader): NumberReader {
  const direct = rearranged(tensor, view);
  if (direct) return numberReader(direct, reader);
  const count = elementCount(tensor.shape);
  const whole = new Float32Array(count);
  storedValues(tensor, reader).read(0, count, whole);
  const { shape, strides } = viewOf(tensor.shape, view);
  return (first, length, out) => {
    for (let i = 0; i < length; i += 1) {
      let [rest, at] = [first + i, 0];
      for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
        at += (rest % shape[axis]!) * strides[axis]!;
        rest = Math.floor(rest / shape[axis]!);
      }
      out[i] = whole[at]!;
    }
  };
}

function compareRange(left: NumberReader, right: NumberReader, range: Range, per: number, poll: () => void): RangeSums {
  const [a, b] = [new Float64Array(Math.min(range.count, PIECE_ELEMENTS) * per), new Float64Array(Math.min(range.count, PIECE_ELEMENTS) * per)];
  const [roundA, roundB] = [roundingOf(range.a, range.b), roundingOf(range.b, range.a)];
  const [signal, noise] = [new CompensatedSum(), new CompensatedSum()];
  let [maxError, differing, nonFinite] = [0, 0, 0];
  for (let done = 0; done < range.count; done += PIECE_ELEMENTS) {
    poll();
    const count = Math.min(PIECE_ELEMENTS, range.count - done);
    left(range.first + done, count, a);
    right(range.first + done, count, b);
    let [pieceSignal, pieceNoise] = [0, 0];
    for (let i = 0; i < count * per; i += 1) {
      const x = roundA(a[i]!);
      const y = roundB(b[i]!);
      if (x === y) {
        if (Number.isFinite(x)) pieceSignal += x * x;
        continue;
      }
      if (Number.isNaN(x) && Number.isNaN(y)) continue;
      differing += 1;
      const error = Math.abs(x - y);
      if (!Number.isFinite(error)) {
        nonFinite += 1;
        continue;
      }
      pieceSignal += x * x;
      pieceNoise += error * error;
      if (error > maxError) maxError = error;
    }
    signal.add(pieceSignal);
    noise.add(pieceNoise);
  }
  return { signal: signal.value, noise: noise.value, maxError, differing, nonFinite };
}

/**
 * Values of a quantized weight before they are rounded to the model's type have more digits than a file of that type can hold:
 * they are compared as that file would hold them.
 */
function roundingOf(tensor: TensorInfo, other: TensorInfo): (value: number) => number {
  if (!tensor.encoding || other.encoding) return (value) => value;
  const spec = MINIFLOAT_DTYPES[other.dtype as DType];
  return spec && DTYPE_BITS[other.dtype] >= 16 ? (value) => (Number.isFinite(value) ? roundToMinifloat(spec, value) : value) : (value) => value;
}

function summed(parts: readonly RangeSums[]): ComparedPair {
  const [signal, noise] = [new CompensatedSum(), new CompensatedSum()];
  let [maxError, differing, nonFinite] = [0, 0, 0];
  for (const part of parts) {
    signal.add(part.signal);
    noise.add(part.noise);
    maxError = Math.max(maxError, part.maxError);
    differing += part.differing;
    nonFinite += part.nonFinite;
  }
  const sqnrDb = noise.value > 0 && signal.value > 0 ? 10 * Math.log10(signal.value / noise.value) : null;
  return { compared: true, equal: differing === 0, sqnrDb, maxError, differing, nonFinite };
}
