/** Header of a 10 GB sparse safetensors file with 3,000 tensors: time and peak memory of opening it, in a process of its own. */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
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

/** The child: opens the file, says how long it took and how much memory the process used at most. */
async function openOnce(file: string): Promise<void> {
  const started = performance.now();
  const checkpoint = await openCheckpoint(file);
  const milliseconds = performance.now() - started;
  process.stdout.write(JSON.stringify({ milliseconds, tensors: checkpoint.tensors.length, megabytes: process.resourceUsage().maxRSS / 1024 }));
}

async function benchSparseHeader(): Promise<BenchResult[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-bench-'));
  try {
    const file = path.join(folder, 'sparse.safetensors');
    writeSparse(file);
    const started = performance.now();
    const { stdout } = await promisify(execFile)(process.execPath, [process.argv[1]!, 'open-once', file]);
    const whole = performance.now() - started;
    const child = JSON.parse(stdout) as { milliseconds: number; tensors: number; megabytes: number };
    return [
      { name: `header of a 10 GB sparse safetensors, ${child.tensors} tensors: opened in`, value: child.milliseconds, unit: 'ms', goal: { below: 300 } },
      { name: '  the same, whole process from start to exit', value: whole, unit: 'ms' },
      { name: '  peak memory of that process', value: child.megabytes, unit: 'MB', goal: { below: 150 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [role, argument] = process.argv.slice(2);
if (role === 'open-once') void openOnce(argument!);
else report(benchSparseHeader);
