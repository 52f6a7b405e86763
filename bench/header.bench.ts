/**
 * Headers: a 10 GB sparse safetensors file with 3,000 tensors (time and peak memory of `bitlens inspect`, from start to exit),
 * and one near the 100 MB that the format allows, opened by the reader alone.
 */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { openCheckpoint } from '../kernels/checkpoint';
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
const OPEN = '--open';

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

/** Names and shapes as of a mixture of experts, until the header has 95 MB. */
function writeLongHeader(file: string): number {
  const entries: string[] = [];
  for (let length = 0, at = 0; length < 95e6; at += 4) {
    const i = entries.length;
    entries.push(`"model.layers.${Math.floor(i / 9)}.mlp.experts.${i % 9}.down_proj.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[${at},${at + 4}]}`);
    length += entries[i]!.length + 1;
  }
  const json = Buffer.from(`{${entries.join(',')}}`);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(file, Buffer.concat([prefix, json]));
  truncateSync(file, 8 + json.length + 4 * entries.length);
  return entries.length;
}

async function benchLongHeader(): Promise<BenchResult[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-bench-'));
  try {
    const file = path.join(folder, 'long.safetensors');
    const tensors = writeLongHeader(file);
    const parse = `const b = require('node:fs').readFileSync(process.argv[1]); JSON.parse(b.toString('utf8', 8, 8 + Number(b.readBigUInt64LE(0))));`;
    const opened: Run[] = [];
    const parsed: Run[] = [];
    for (let run = 0; run < 3; run += 1) {
      opened.push(await runOnce(folder, [__filename, OPEN, file]));
      parsed.push(await runOnce(folder, ['-e', parse, file]));
    }
    const best = (runs: readonly Run[], of: (run: Run) => number): number => Math.min(...runs.map(of));
    const wall = best(opened, (run) => run.wall);
    return [
      { name: `a safetensors header of 95 MB, ${tensors} tensors, opened by a process of its own, best of 3`, value: wall, unit: 'ms', goal: { below: 3000 } },
      { name: '  over a process that only calls JSON.parse on it', value: wall / best(parsed, (run) => run.wall), unit: 'x' },
      { name: '  its peak memory', value: Math.max(...opened.map((run) => run.megabytes)), unit: 'MB', goal: { below: 400 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Started again as the process that is measured, this file only opens.
if (process.argv[2] === OPEN) void openCheckpoint(process.argv[3]!);
else report(async () => [...await benchSparseHeader(), ...await benchLongHeader()]);
