import os from 'node:os';

/** What a benchmark reports. */
export interface BenchResult {
  readonly name: string;
  /** Null: it was not measured, and the name says why. */
  readonly value: number | null;
  readonly unit: string;
  /** The figure to show; absent where there is none. */
  readonly goal?: { readonly below?: number; readonly atLeast?: number };
}

const isMet = ({ value, goal }: BenchResult): boolean => !goal || value === null || ((goal.below === undefined || value < goal.below) && (goal.atLeast === undefined || value >= goal.atLeast));

function printResult(result: BenchResult): void {
  const { name, value, unit, goal } = result;
  const met = isMet(result);
  const wanted = goal?.below !== undefined ? `  (goal: under ${goal.below}${met ? ', met' : ', NOT met'})` : goal?.atLeast !== undefined ? `  (goal: at least ${goal.atLeast}${met ? ', met' : ', NOT met'})` : '';
  process.stdout.write(`${name.padEnd(94)} ${(value === null ? '' : value.toPrecision(4)).padStart(9)} ${unit}${wanted}\n`);
}

/** Prints the machine, then each result and whether its goal is met; a failure becomes the exit code. `done` runs after it. */
export function report(results: () => BenchResult[] | Promise<BenchResult[]>, done: () => void = () => undefined): void {
  process.stdout.write(`${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.availableParallelism()} cores, load ${os.loadavg()[0]!.toFixed(1)}, Node.js ${process.version}\n`);
  Promise.resolve().then(results).then((all) => {
    all.forEach(printResult);
  }, (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }).finally(done);
}

/** Best of several runs, in milliseconds: what the machine can do when nobody disturbs it. */
export function bestOf(runs: number, work: () => void): number {
  let best = Infinity;
  for (let i = 0; i < runs; i += 1) {
    const started = performance.now();
    work();
    best = Math.min(best, performance.now() - started);
  }
  return best;
}
