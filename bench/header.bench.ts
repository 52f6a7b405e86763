/** Header of a 10 GB sparse safetensors file with 3,000 tensors: time and peak memory of `bitlens inspect`, from start to exit. */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { report, type BenchResult } from './results';

const TENSORS = 3000;
const BYTES = 10e9;

function writeSparse(file: string): void {
  const each = Math.floor(BYTES / TENSORS / 4 / 1024) * 1024;
  const entries = Array.from({ length: TENSORS }, (_, i) =>
    `"model.layers.${Math.floor(i / 7)}.block.${i % 7}.weight":{"dtype":"F32","shape":[1024,${each / 1024}],"data_offsets":[${i * each * 4},${(i + 1) * each * 4}]}`);
  const json = Buffer.from(`{${entries.join(',')}}`);
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, header);
  ftruncateSync(descriptor, header.length + TENSORS * each * 4);
  closeSync(descriptor);
}

const RUNS = 7;

interface Run { readonly wall: number; readonly processor: number; readonly megabytes: number; readonly tensors: number }

/** Runs a program as a process of its own; a hook in it says at its end what it took. */
async function runOnce(folder: string, args: readonly string[]): Promise<Run> {
  const hook = path.join(folder, 'hook.cjs');
  const facts = path.join(folder, 'facts.json');
  writeFileSync(hook, `process.on('exit', () => { const u = process.resourceUsage(); require('node:fs').writeFileSync(${JSON.stringify(facts)}, JSON.stringify({ processor: (u.userCPUTime + u.systemCPUTime) / 1000, megabytes: u.maxRSS / 1024 })); });`);
  const started = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, ['--require', hook, ...args], { maxBuffer: 2 ** 26 });
  const wall = performance.now() - started;
  const tensors = stdout === '' ? 0 : (JSON.parse(stdout) as { tensors: unknown[] }).tensors.length;
  return { wall, tensors, ...JSON.parse(readFileSync(facts, 'utf8')) as { processor: number; megabytes: number } };
}

async function benchSparseHeader(): Promise<BenchResult[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-bench-'));
  try {
    const file = path.join(folder, 'sparse.safetensors');
    writeSparse(file);
    const inspected: Run[] = [];
    const empty: Run[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      inspected.push(await runOnce(folder, [path.join(process.env.BITLENS_ROOT!, 'dist/cli.js'), 'inspect', file, '--json']));
      empty.push(await runOnce(folder, ['-e', '0']));
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
    const wall = median(inspected.map((run) => run.wall));
    const nothing = median(empty.map((run) => run.wall));
    return [
      { name: `bitlens inspect of a 10 GB sparse safetensors, ${inspected[0]!.tensors} tensors, whole process, median`, value: wall, unit: 'ms', goal: { below: 300 } },
      { name: '  its processor time', value: median(inspected.map((run) => run.processor)), unit: 'ms' },
      { name: '  over a Node.js process that does nothing', value: wall / nothing, unit: 'x' },
      { name: '  its peak memory', value: Math.max(...inspected.map((run) => run.megabytes)), unit: 'MB', goal: { below: 150 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

report(benchSparseHeader);
