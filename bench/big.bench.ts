/**
 * A large file: 12 formats over all tensors of a safetensors file made for it (`-- big --gb N`, 4 unless said), with the peak memory of
 * the processes, and how the time compares with reading the file and with reading the same bytes from memory, in the same run.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TILE_WEIGHTS } from '../kernels/formats/blocks';
import { Random } from '../kernels/numerics/random';
import { wasmOps } from '../kernels/wasm/wasm-ops';
import { bestOf, report, type BenchResult } from './results';

const FORMATS = [
  'int8-sym-channel', 'int4-sym-g128', 'int4-asym-g128', 'int3-sym-g128', 'int2-asym-g128', 'fp8-e4m3-channel', 'fp8-e5m2-channel', 'fp4-e2m1-g32', 'mxfp4', 'mxfp8-e4m3', 'nf4-g64', 'bf16',
];
const SIDE = 4096;
const TENSOR_BYTES = SIDE * SIDE * 4;
const MOST_MEGABYTES = 400;

/** How many gigabytes the file has. @throws Error for what is no size */
function wantedBytes(args: readonly string[]): number {
  const at = args.indexOf('--gb');
  const gb = at < 0 ? 4 : Number(args[at + 1]);
  if (!(gb > 0 && gb <= 100)) throw new Error('--gb takes the size of the file in gigabytes, above 0 and up to 100');
  return gb * 1e9;
}

/** Square float32 tensors until the size is reached: one tile of normal numbers, over and over, turned a little further each time. */
function writeLarge(file: string, bytes: number): number {
  const tensors = Math.max(1, Math.round(bytes / TENSOR_BYTES));
  const entries = Array.from({ length: tensors }, (_, i) => `"model.layers.${i}.mlp.up_proj.weight":{"dtype":"F32","shape":[${SIDE},${SIDE}],"data_offsets":[${i * TENSOR_BYTES},${(i + 1) * TENSOR_BYTES}]}`);
  const text = `{${entries.join(',')}}`;
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  const random = new Random(1);
  const tile = Float32Array.from({ length: TILE_WEIGHTS }, () => 0.02 * random.normal());
  const twice = Buffer.from(Float32Array.from({ length: 2 * TILE_WEIGHTS }, (_, i) => tile[i % TILE_WEIGHTS]!).buffer);
  const descriptor = openSync(file, 'w');
  try {
    writeSync(descriptor, Buffer.concat([prefix, json]));
    for (let written = 0, turn = 0; written < tensors * TENSOR_BYTES; written += 4 * TILE_WEIGHTS, turn = (turn + 4 * 9973) % (4 * TILE_WEIGHTS)) {
      writeSync(descriptor, twice, turn, 4 * TILE_WEIGHTS);
    }
  } finally { closeSync(descriptor); }
  return tensors;
}

/** Seconds that reading the file once takes: from memory where the system keeps it, else from the disk. */
function readAll(file: string): number {
  const piece = Buffer.allocUnsafe(4 * TILE_WEIGHTS);
  const descriptor = openSync(file, 'r');
  const started = performance.now();
  while (readSync(descriptor, piece) > 0);
  const seconds = (performance.now() - started) / 1000;
  closeSync(descriptor);
  return seconds;
}

/** The process and all that it started. */
function family(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : [];
  return [pid, ...children.flatMap(family)];
}

/** What Linux says of a process: largest resident memory so far, and processor time, of which it counts hundredths of a second. */
interface Taken { readonly megabytes: number; readonly processor: number }

/** Null for a process that is gone, and on other systems. */
function takenBy(pid: number): Taken | null {
  try {
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    const times = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return peak && { megabytes: Number(peak[1]) / 1024, processor: (Number(times[11]) + Number(times[12])) / 100 };
  } catch { return null; }
}

interface Scan { readonly seconds: number; readonly weights: number; /** Of each process, looked at every now and then. */ readonly taken: readonly Taken[] }

async function scan(file: string): Promise<Scan> {
  const child = spawn(process.execPath, [path.join(process.env.BITLENS_ROOT!, 'dist/cli.js'), 'scan', file, '--formats', FORMATS.join(','), '--json', '-q'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  let code: number | null | undefined;
  child.on('close', (status) => { code = status; });
  const taken = new Map<number, Taken>();
  while (code === undefined) {
    for (const pid of family(child.pid!)) {
      const now = takenBy(pid);
      if (now) taken.set(pid, now);
    }
    await pause(20);
  }
  if (code !== 0) throw new Error(`the scan ended with exit code ${code}`);
  const { seconds, weights } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { seconds: number; weights: number };
  return { seconds, weights, taken: [...taken.values()] };
}

async function benchLarge(): Promise<BenchResult[]> {
  const bytes = wantedBytes(process.argv.slice(2));
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-bench-'));
  try {
    const file = path.join(folder, 'large.safetensors');
    const tensors = writeLarge(file, bytes);
    const size = tensors * TENSOR_BYTES;
    const reading = Math.min(readAll(file), readAll(file));
    const { seconds, weights, taken } = await scan(file);
    const ops = await wasmOps();
    const memory = (bestOf(50, () => { ops.sum(TILE_WEIGHTS); }) / 1000) * (weights / TILE_WEIGHTS);
    const cores = os.availableParallelism();
    const sum = (of: (each: Taken) => number): number => taken.reduce((total, each) => total + of(each), 0);
    const results: BenchResult[] = [
      { name: `bitlens scan of ${(size / 1e9).toPrecision(3)} GB, ${tensors} tensors, ${FORMATS.length} formats, load ${os.loadavg()[0]!.toFixed(1)}`, value: seconds, unit: 's' },
      { name: '  reading the file once and doing nothing with it: share of the scan (100 %: bound by disk)', value: (100 * reading) / seconds, unit: '%' },
      { name: `  reading it from memory ${FORMATS.length} times on ${cores} cores: share of it (100 %: bound by memory)`, value: (100 * memory * FORMATS.length) / cores / seconds, unit: '%' },
    ];
    if (taken.length === 0) return [...results, { name: '  memory and processor time: this system does not say', value: null, unit: '' }];
    return [
      ...results,
      { name: '  weights x formats per second of processor time, statistics included', value: (weights * FORMATS.length) / sum(({ processor }) => processor) / 1e9, unit: 'G' },
      { name: '  peak memory of its largest process', value: Math.max(...taken.map(({ megabytes }) => megabytes)), unit: 'MB', goal: { below: MOST_MEGABYTES } },
      { name: '  peaks of all its processes together', value: sum(({ megabytes }) => megabytes), unit: 'MB', goal: { below: MOST_MEGABYTES } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

report(benchLarge);
