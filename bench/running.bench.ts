/**
 * Running models: the one-layer-at-a-time scan beside repeated forwards, GPTQ of one large layer with the share of its parts, and,
 * where Python has PyTorch, the forward beside PyTorch's. Networks and data are looked for in BITLENS_DATA, else ../shared/data.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { weightLayout } from '../kernels/formats/blocks';
import { parseFormat } from '../kernels/formats/registry';
import { errorFeedback, startGrid } from '../kernels/methods/ptq/gptq';
import { blockScaledOnly } from '../kernels/methods/ptq/grid';
import { importanceOf, layerProblem, leastLoss } from '../kernels/methods/ptq/layer-problem';
import { factorInPlace } from '../kernels/numerics/cholesky';
import { Random } from '../kernels/numerics/random';
import { MomentModel, MomentSums } from '../kernels/run/moments';
import { Multiplier } from '../kernels/run/multiply';
import { report, type BenchResult } from './results';
import { benchForwards } from './torch-forward';

const run = promisify(execFile);
const root = process.env.BITLENS_ROOT!;
const data = process.env.BITLENS_DATA ?? path.resolve(root, '../shared/data');
const CIFAR = ['--task', 'classification', '--scale', String(1 / 255), '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225', '--layout', 'NHWC'];
const resnet = ['examples/resnet20/model.py:ResNet20', '--checkpoint', path.join(data, 'resnet20/resnet20-12fca82f.th'), '--data', path.join(data, 'cifar10/test_images.npy'), '--labels', path.join(data, 'cifar10/test_labels.npy'), ...CIFAR];

async function seconds(verb: string, ...args: string[]): Promise<number> {
  const { stdout } = await run(process.execPath, ['dist/cli.js', verb, ...args, '--json', '-q'], { cwd: root, maxBuffer: 2 ** 28 });
  return (JSON.parse(stdout) as { seconds: number }).seconds;
}

async function benchScan(): Promise<BenchResult[]> {
  if (!existsSync(path.join(data, 'cifar10')) || !existsSync(path.join(data, 'resnet20'))) return [{ name: 'one-layer-at-a-time scan: skipped, ResNet-20 and CIFAR-10 are not there', value: null, unit: '' }];
  const formats = ['int3-sym-channel', 'int4-sym-channel', 'int8-sym-channel'];
  const forward = await seconds('evaluate', ...resnet, '--samples', '500');
  const scan = await seconds('sensitivity', ...resnet, '--samples', '500', '--formats', formats.join(','));
  return [
    { name: 'ResNet-20, forward of 500 images', value: forward, unit: 's' },
    { name: '  20 layers x 3 formats on them, one layer at a time', value: scan, unit: 's' },
    { name: '  60 forwards over that scan', value: (60 * forward) / scan, unit: 'times', goal: { atLeast: 2 } },
  ];
}

/** Seconds of a piece of work, and what it gave. */
async function timed<T>(work: () => T | Promise<T>): Promise<[seconds: number, result: T]> {
  const started = performance.now();
  const result = await work();
  return [(performance.now() - started) / 1000, result];
}

/** GPTQ part by part, as gptq.ts puts them together; the factorization is done once more by itself, to tell it from the rounding. */
async function benchGptq(): Promise<BenchResult[]> {
  const [size, rows] = [2048, 4096];
  const random = new Random(1);
  const weights = Float32Array.from({ length: size * size }, () => 0.02 * random.normal());
  const inputs = Float32Array.from({ length: rows * size }, () => random.normal());
  const layout = weightLayout([size, size], 0);
  const format = blockScaledOnly(parseFormat('int4-sym-g128'), 'gptq');
  const [gathering, seen] = await timed(async () => {
    const site = { tensor: 'w', kind: 'linear' as const, node: { op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'], module: '' }, at: 0, input: 'x', output: 'y' };
    const model = new MomentModel(site, [size, size], size, 2);
    const sums = new MomentSums(layout, 1);
    for (let at = 0; at < rows; at += 1024) sums.add(await model.sums({ type: 'F32', shape: [1024, size], data: inputs.subarray(at * size, (at + 1024) * size) }));
    await model.close();
    return sums.inputs()!;
  });
  const problem = layerProblem(weights, layout, seen, 'gptq');
  const [scaling, grid] = await timed(() => startGrid(problem, format, 'importance'));
  const moment = seen.groups[0]!.moment.slice();
  const damping = (0.01 * importanceOf(moment, size).reduce((sum, energy) => sum + energy, 0)) / size;
  const [factoring] = await timed(() => Multiplier.with((multiply) => factorInPlace(moment, size, damping, multiply)));
  const [feedback, rounded] = await timed(() => errorFeedback(problem, grid, { refit: null, actOrder: true, damping: 0.01 }));
  const [judging] = await timed(() => leastLoss(problem, format, [grid.encode(rounded), format.encode(weights, layout, 'absmax')]));
  const total = gathering + scaling + feedback + judging;
  const share = (name: string, part: number): BenchResult => ({ name: `  ${name}`, value: (100 * part) / total, unit: '%' });
  return [
    { name: 'GPTQ of one 2048 x 2048 layer, 4,096 calibration rows', value: total, unit: 's', goal: { below: 8 } },
    share('share of gathering moments', gathering),
    share('share of finding scales, weighted by the energy of the inputs', scaling),
    share('share of the Cholesky factor', factoring),
    share('share of rounding column after column, errors fed forward', feedback - factoring),
    share('share of encoding and of holding the result to round-to-nearest', judging),
  ];
}

report(async () => [...await benchGptq(), ...await benchScan(), ...await benchForwards(root, data)]);
