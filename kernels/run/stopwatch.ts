/** Times little models side by side on this machine. */
import type { OnnxModel } from '../graph/write-onnx';
import { startModel, type NamedArray, type RunningModel } from './run-model';

/**
 * Nanoseconds of one run: the lower quartile over rounds, which the other work of a busy machine moves least, and half of what
 * lies between the fastest tenth and the median.
 */
export interface Timing { readonly value: number; readonly spread: number }

const LEAST_ROUNDS = 7;
const MOST_ROUNDS = 200;
/** Per model: what the rounds take in all, about. Rounds beyond the least end here. */
const MILLISECONDS = 40;

/**
 * Rounds in which each model runs once, so that what else the machine does meets all alike. The order of models changes nothing but
 * noise; a model that onnxruntime refuses has no timing.
 *
 * @param models made one after another, so that no more than one is held beside its session
 */
export async function timeModels(models: readonly (() => OnnxModel)[], input: NamedArray, threads: number, throwIfCancelled: () => void): Promise<(Timing | null)[]> {
  const running: (RunningModel | null)[] = [];
  try {
    for (const model of models) running.push(await startOrNull(model, threads, input));
    const open = running.flatMap((model, i) => (model ? [{ model, i }] : []));
    const times: number[][] = models.map(() => []);
    const inputs = new Map([['x', input]]);
    const begun = performance.now();
    for (let round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || performance.now() - begun < MILLISECONDS * open.length); round += 1) {
      throwIfCancelled();
      for (const { model, i } of open) {
        const from = process.hrtime.bigint();
        await model.run(inputs);
        times[i]!.push(Number(process.hrtime.bigint() - from));
      }
    }
    return times.map((each) => (each.length === 0 ? null : timingOf(each)));
  } finally {
    for (const model of running) await model?.close();
  }
}

/** Prepared and run twice: what is set up by the first runs is not part of what is timed. */
async function startOrNull(model: () => OnnxModel, threads: number, input: NamedArray): Promise<RunningModel | null> {
  let started: RunningModel | null = null;
  try {
    started = await startModel(model(), threads, { arena: true });
    for (let warm = 0; warm < 2; warm += 1) await started.run(new Map([['x', input]]));
    return started;
  } catch {
    // An operator that this build of onnxruntime does not have for these sizes: the caller estimates, and says so.
    await started?.close();
    return null;
  }
}

export function timingOf(times: readonly number[]): Timing {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    return sorted[below]! + (place - below) * ((sorted[below + 1] ?? sorted[below]!) - sorted[below]!);
  };
  return { value: at(0.25), spread: (at(0.5) - at(0.1)) / 2 };
}
