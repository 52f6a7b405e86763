/**
 * Forwards of ResNet-20 and stories260k beside PyTorch's: the graph that `bitlens trace` writes of the same source, on the same inputs,
 * in batches of the same size, two threads each, and how far apart the outputs are. Skipped by name where Python has no PyTorch.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { loadRuntime } from '../kernels/run/onnx-runtime';
import type { BenchResult } from './results';

const run = promisify(execFile);
/** As in torch-forward.py. */
const BATCH = 128;
const THREADS = 2;
const RUNS = 5;

interface Network { readonly name: string; readonly title: string; readonly source: string; readonly weights: string; readonly data: string; readonly tokens: boolean }

function networks(root: string, data: string): Network[] {
  return [
    { name: 'resnet20', title: 'ResNet-20, 1,000 images', source: path.join(root, 'examples/resnet20/model.py'), weights: path.join(data, 'resnet20/resnet20-12fca82f.th'), data: path.join(data, 'cifar10/test_images.npy'), tokens: false },
    { name: 'stories260k', title: 'stories260k, 128 texts of 128 tokens', source: path.join(root, 'test/trace/stories/model.py'), weights: path.join(data, 'stories260k/model.safetensors'), data: path.join(data, 'stories260k/tokens_eval.npy'), tokens: true },
  ];
}

/** The first Python with PyTorch, or null. `BITLENS_PYTHON` names another than the usual. */
async function findPython(): Promise<string | null> {
  for (const python of [process.env.BITLENS_PYTHON, 'python3', '/usr/bin/python3']) {
    if (python && await run(python, ['-c', 'import torch, numpy']).then(() => true, () => false)) return python;
  }
  return null;
}

export async function benchForwards(root: string, data: string): Promise<BenchResult[]> {
  const skipped = (why: string): BenchResult => ({ name: `forward beside PyTorch: skipped, ${why}`, value: null, unit: '' });
  const python = await findPython();
  if (!python) return [skipped('no Python with PyTorch (apt install python3-torch, or BITLENS_PYTHON)')];
  const results: BenchResult[] = [];
  for (const network of networks(root, data)) {
    if (existsSync(network.weights) && existsSync(network.data)) results.push(...await benchForward(root, python, network));
    else results.push(skipped(`${network.title}: the data is not there`));
  }
  return results;
}

async function benchForward(root: string, python: string, network: Network): Promise<BenchResult[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-bench-'));
  try {
    const [onnx, out] = [path.join(folder, 'model.onnx'), path.join(folder, 'torch')];
    const input = network.tokens ? 'input_ids=batch,sequence:int64' : 'x=batch,3,32,32';
    await run(process.execPath, [path.join(root, 'dist/cli.js'), 'trace', network.source, '--checkpoint', network.weights, '--onnx', onnx, '--input', input, '-q'], { cwd: root, maxBuffer: 2 ** 26 });
    const { stdout } = await run(python, [path.join(root, 'bench/torch-forward.py'), network.name, network.source, network.weights, network.data, out]);
    const torch = JSON.parse(stdout.trim().split('\n').at(-1)!) as { seconds: number; shape: number[]; version: string };
    const own = await ownForward(onnx, numbers(`${out}.in`, network.tokens), torch.shape);
    const expected = numbers(`${out}.out`, false) as Float32Array;
    if (own.outputs.length !== expected.length) throw new Error(`${network.title}: ${own.outputs.length} outputs, and PyTorch gives ${expected.length}`);
    return [
      { name: `${network.title}, forward: PyTorch ${torch.version}`, value: torch.seconds, unit: 's' },
      { name: '  ours', value: own.seconds, unit: 's' },
      { name: '  PyTorch over ours', value: torch.seconds / own.seconds, unit: 'times', goal: { atLeast: 1 } },
      { name: '  largest difference of an output', value: expected.reduce((most, value, i) => Math.max(most, Math.abs(value - own.outputs[i]!)), 0), unit: '', goal: { below: 1e-3 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What torch-forward.py wrote: int64 or float32. */
function numbers(file: string, whole: boolean): BigInt64Array | Float32Array {
  const { buffer } = Uint8Array.from(readFileSync(file));
  return whole ? new BigInt64Array(buffer) : new Float32Array(buffer);
}

async function ownForward(file: string, inputs: BigInt64Array | Float32Array, shape: readonly number[]): Promise<{ seconds: number; outputs: Float32Array }> {
  const { InferenceSession, Tensor } = loadRuntime();
  const session = await InferenceSession.create(file, { intraOpNumThreads: THREADS, interOpNumThreads: 1, logSeverityLevel: 3 });
  const each = inputs.length / shape[0]!;
  const batches = Array.from({ length: Math.ceil(shape[0]! / BATCH) }, (_, b) => {
    const part = inputs.subarray(b * BATCH * each, (b + 1) * BATCH * each);
    return new Tensor(part instanceof BigInt64Array ? 'int64' : 'float32', part, [part.length / each, ...shape.slice(1)]);
  });
  let [seconds, parts]: [number, Float32Array[]] = [Infinity, []];
  for (let turn = 0; turn < RUNS; turn += 1) {
    const started = performance.now();
    parts = [];
    for (const batch of batches) {
      const results = await session.run({ [session.inputNames[0]!]: batch });
      parts.push(results[session.outputNames[0]!]!.data as Float32Array);
    }
    seconds = Math.min(seconds, (performance.now() - started) / 1000);
  }
  await session.release();
  const outputs = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => { outputs.set(part, at); return at + part.length; }, 0);
  return { seconds, outputs };
}
