/** What the editor waits for before `activate` runs: the extension's bundle is read and evaluated, with an editor that does nothing. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { report, type BenchResult } from './results';

const RUNS = 9;
/** Every name of the editor's interface is a class, all of whose members are such classes. */
const PROGRAM = `
  const anything = (target) => new Proxy(target, { get: (own, key) => (key in own || typeof key === 'symbol' ? own[key] : anything(class {})) });
  const Module = require('node:module');
  const load = Module._load;
  Module._load = (name, ...rest) => (name === 'vscode' ? anything({}) : load(name, ...rest));
  const started = performance.now();
  require(process.argv[1]);
  process.stdout.write(String(performance.now() - started));
  process.exit();
`;

async function benchLoading(): Promise<BenchResult[]> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', PROGRAM, path.join(process.env.BITLENS_ROOT!, 'dist/extension.js')]);
    times.push(Number(stdout));
  }
  times.sort((a, b) => a - b);
  return [
    { name: 'loading the extension, median (activate() itself and the whole are printed by test:vscode)', value: times[RUNS >> 1]!, unit: 'ms', goal: { below: 300 } },
    { name: '  slowest', value: times.at(-1)!, unit: 'ms' },
  ];
}

report(benchLoading);
