/**
 * Fused error passes over one tile (4 MiB of float32), weights per second: on this thread, and on two worker threads side by
 * side. Beside them a plain read (a SIMD sum) of the same memory, measured in the same run.
 */
import os from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { TILE_WEIGHTS } from '../kernels/formats/blocks';
import type { BlockScaledFormat, ScaleRule } from '../kernels/formats/format';
import { parseFormat } from '../kernels/formats/registry';
import { Random } from '../kernels/numerics/random';
import { referenceOps, type KernelOps } from '../kernels/wasm/ops';
import { wasmOps } from '../kernels/wasm/wasm-ops';
import { bestOf, report, type BenchResult } from './results';

/**
 * Short windows, one worker and two in turn: a busy machine disturbs some of them, the best is what the kernels can do.
 * More windows are tried where two workers have not yet had both cores for the length of one.
 */
const WINDOW_SECONDS = 0.3;
const [WINDOWS, MOST_WINDOWS] = [6, 30];
const WANTED_RATIO = 1.7;
const GROUP = 128;

function fill(ops: KernelOps): void {
  const random = new Random(1);
  for (let i = 0; i < TILE_WEIGHTS; i += 1) ops.values[i] = random.normal() * 0.02;
}

/** One error pass over the whole tile. */
function pass(ops: KernelOps, id: string, rule: ScaleRule, size: number): () => void {
  const format = parseFormat(id) as BlockScaledFormat;
  return () => ops.blockErrors({ element: format.element, storage: format.scaleStorage, rule, outer: 1 }, 0, TILE_WEIGHTS / size, size, { squared: 0, power: 0 }, null);
}

const rate = (milliseconds: number): number => TILE_WEIGHTS / milliseconds / 1e6;

/** The worker's side: passes until the time is over, counted between two moments that all workers share. */
async function errorPassWorker(shared: Int32Array, post: (passes: number) => void): Promise<void> {
  const ops = await wasmOps();
  fill(ops);
  const run = pass(ops, `int4-sym-g${GROUP}`, 'absmax', GROUP);
  for (let i = 0; i < 20; i += 1) run();
  Atomics.add(shared, 0, 1);
  Atomics.notify(shared, 0);
  Atomics.wait(shared, 1, 0);
  let passes = 0;
  while (Atomics.load(shared, 1) === 1) {
    run();
    passes += 1;
  }
  post(passes);
}

/** G weights per second of `count` workers together: by the clock, and per second of processor time and worker, which other programs do not disturb. */
async function together(count: number): Promise<{ clock: number; processor: number }> {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const results = Array.from({ length: count }, () => new Promise<number>((resolve, reject) => {
    const worker = new Worker(process.argv[1]!, { workerData: { shared } });
    worker.once('message', resolve);
    worker.once('error', reject);
  }));
  while (Atomics.load(shared, 0) < count) await new Promise((resolve) => { setTimeout(resolve, 5); });
  const started = performance.now();
  const before = process.cpuUsage();
  Atomics.store(shared, 1, 1);
  Atomics.notify(shared, 1);
  await new Promise((resolve) => { setTimeout(resolve, WINDOW_SECONDS * 1000); });
  Atomics.store(shared, 1, 2);
  const elapsed = performance.now() - started;
  const used = process.cpuUsage(before);
  const passes = (await Promise.all(results)).reduce((sum, n) => sum + n, 0);
  const weights = passes * TILE_WEIGHTS;
  return { clock: weights / elapsed / 1e6, processor: (count * weights) / (used.user + used.system) / 1e3 };
}

async function benchErrorPass(): Promise<BenchResult[]> {
  const ops = await wasmOps();
  const reference = referenceOps();
  fill(ops);
  fill(reference);
  const time = (work: () => void, runs = 60): number => { bestOf(5, work); return bestOf(runs, work); };
  const int4 = pass(ops, `int4-sym-g${GROUP}`, 'absmax', GROUP);
  // Turn by turn, so that both meet the same machine.
  let [quantized, read] = [Infinity, Infinity];
  for (let turn = 0; turn < 20; turn += 1) {
    quantized = Math.min(quantized, time(int4, 5));
    read = Math.min(read, time(() => { ops.sum(TILE_WEIGHTS); }, 5));
  }
  let [one, two, oneProcessor, twoProcessor] = [0, 0, 0, 0];
  for (let window = 0; window < WINDOWS || (window < MOST_WINDOWS && two < WANTED_RATIO * one); window += 1) {
    const [single, pair] = [await together(1), await together(2)];
    one = Math.max(one, single.clock);
    two = Math.max(two, pair.clock);
    oneProcessor = Math.max(oneProcessor, single.processor);
    twoProcessor = Math.max(twoProcessor, pair.processor);
  }
  const others: [string, ScaleRule, number][] = [
    ['int4-asym-g128', 'absmax', 128], ['int8-sym-channel', 'absmax', 4096], ['fp8-e4m3-channel', 'absmax', 4096], ['int4-sym-g128', 'mse', 128],
  ];
  return [
    { name: `int4-sym-g${GROUP} fused error pass, one core`, value: rate(quantized), unit: 'G weights/s', goal: { atLeast: 0.9 } },
    { name: '  plain read (sum) of the same memory', value: rate(read), unit: 'G weights/s' },
    { name: '  error pass time over plain read time', value: quantized / read, unit: 'x' },
    { name: '  plain TypeScript reference', value: rate(bestOf(2, pass(reference, `int4-sym-g${GROUP}`, 'absmax', GROUP))), unit: 'G weights/s' },
    { name: '  one worker, sustained', value: one, unit: 'G weights/s' },
    { name: '  two workers, sustained', value: two, unit: 'G weights/s' },
    { name: `two workers over one, best of several windows each in turn, load ${os.loadavg()[0]!.toFixed(1)} by then`, value: two / one, unit: 'x', goal: { atLeast: WANTED_RATIO } },
    { name: '  the same by processor time (what two free cores would give)', value: twoProcessor / oneProcessor, unit: 'x' },
    ...others.map(([id, rule, size]): BenchResult => ({ name: `${id} fused error pass, ${rule}`, value: rate(time(pass(ops, id, rule, size), rule === 'mse' ? 5 : 40)), unit: 'G weights/s' })),
  ];
}

if (isMainThread) report(benchErrorPass);
else void errorPassWorker((workerData as { shared: Int32Array }).shared, (passes) => parentPort!.postMessage(passes));
