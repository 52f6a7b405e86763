/**
 * Benchmarks of the kernels: `npm run bench`. Prints figures beside their goals; tests never time.
 * Bundled into dist/ (beside kernels.wasm); starts itself again as a child and as workers.
 */
import os from 'node:os';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { benchAllocation } from './allocation';
import { benchErrorPass, errorPassWorker } from './error-pass';
import { printResult } from './results';
import { benchSparseHeader, openOnce } from './sparse-header';

async function main(): Promise<void> {
  const [role, argument] = process.argv.slice(2);
  if (!isMainThread && role === 'error-pass-worker') {
    await errorPassWorker((workerData as { shared: Int32Array }).shared, (passes) => parentPort!.postMessage(passes));
    return;
  }
  if (role === 'open-once') return openOnce(argument!);
  process.stdout.write(`${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.availableParallelism()} cores, load ${os.loadavg()[0]!.toFixed(1)}, Node.js ${process.version}\n\n`);
  for (const result of await benchSparseHeader()) printResult(result);
  for (const result of await benchErrorPass()) printResult(result);
  for (const result of benchAllocation()) printResult(result);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
