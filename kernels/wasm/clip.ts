/** The search for the scale of a block in SIMD; in plain TypeScript (numerics/clip-choice.ts), bit for bit the same, where kernels.wasm is missing. */
import { readFileSync } from 'node:fs';
import { assetPath } from '../assets';
import { clipChoice as plain, type ClipTrials, type Codes, type WeightedRun } from '../numerics/clip-choice';

interface Exports {
  heapBase(): number;
  clipChoice(length: number, x: number, w: number, count: number, scales: number, zeros: number, low: number, high: number): number;
}
interface Kernel {
  readonly wasm: Exports;
  readonly at: readonly [x: number, w: number, scales: number, zeros: number];
  readonly values: Float64Array;
  readonly weights: Float64Array;
  readonly scales: Float64Array;
  readonly zeros: Float64Array;
}

/** Values of one block, and scales that are tried: more are left to plain TypeScript. */
const [MOST, MOST_SCALES] = [2 ** 15, 128];
const PAGE = 65536;

let made: Kernel | null | undefined;

function kernel(): Kernel | null {
  if (made !== undefined) return made;
  try {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(assetPath('kernels.wasm'))), { env: { memory, abort: () => { throw new Error('a kernel aborted'); } } });
    const wasm = instance.exports as unknown as Exports;
    const x = wasm.heapBase();
    const [w, scales, zeros, end] = [x + 8 * MOST, x + 16 * MOST, x + 16 * MOST + 8 * MOST_SCALES, x + 16 * MOST + 16 * MOST_SCALES];
    memory.grow(Math.max(0, Math.ceil(end / PAGE) - memory.buffer.byteLength / PAGE));
    const { buffer } = memory;
    made = {
      wasm, at: [x, w, scales, zeros], values: new Float64Array(buffer, x, MOST), weights: new Float64Array(buffer, w, MOST),
      scales: new Float64Array(buffer, scales, MOST_SCALES), zeros: new Float64Array(buffer, zeros, MOST_SCALES),
    };
  } catch {
    made = null;
  }
  return made;
}

/** As the plain one. */
export function clipChoice(run: WeightedRun, trials: ClipTrials, codes: Codes): number {
  const { length } = run;
  const fast = length <= MOST && trials.scales.length <= MOST_SCALES ? kernel() : null;
  if (!fast) return plain(run, trials, codes);
  const { wasm, at } = fast;
  fast.values.set(run.values.subarray(run.at, run.at + length));
  fast.weights.set(run.weights.subarray(run.weightsAt, run.weightsAt + length));
  fast.scales.set(trials.scales);
  fast.zeros.set(trials.zeros);
  return wasm.clipChoice(length, at[0], at[1], trials.scales.length, at[2], at[3], codes.low, codes.high);
}
