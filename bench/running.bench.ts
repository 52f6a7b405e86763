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
import { gptq } from '../kernels/methods/ptq/gptq';
import { Random } from '../kernels/numerics/random';
import { MomentModel, MomentSums } from '../kernels/run/moments';
import { report, type BenchResult } from './results';

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

async function benchGptq(): Promise<BenchResult[]> {
  const [size, rows] = [2048, 4096];
  const random = new Random(1);
  const weights = Float32Array.from({ length: size * size }, () => 0.02 * random.normal());
  const inputs = Float32Array.from({ length: rows * size }, () => random.normal());
  const layout = weightLayout([size, size], 0);
  const site = { tensor: 'w', kind: 'linear' as const, node: { op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'], module: '' }, at: 0, input: 'x', output: 'y' };
  let started = performance.now();
  const model = new MomentModel(site, [size, size], size, 2);
  const sums = new MomentSums(layout, 1);
  for (let at = 0; at < rows; at += 1024) sums.add(await model.sums({ type: 'F32', shape: [1024, size], data: inputs.subarray(at * size, (at + 1024) * size) }));
  await model.close();
  const seen = sums.inputs()!;
  const gathering = (performance.now() - started) / 1000;
  started = performance.now();
  await gptq.run(weights, layout, parseFormat('int4-sym-g128'), {}, seen);
  const method = (performance.now() - started) / 1000;
  return [
    { name: 'GPTQ of one 2048 x 2048 layer, 4,096 calibration rows', value: gathering + method, unit: 's', goal: { below: 8 } },
    { name: '  share of gathering moments', value: (100 * gathering) / (gathering + method), unit: '%' },
    { name: '  share of the method (Cholesky factor, rounding column after column)', value: (100 * method) / (gathering + method), unit: '%' },
  ];
}

const TORCH = `
import json, sys, time, numpy as np, torch
sys.path.insert(0, sys.argv[1])
from model import ResNet20
torch.set_num_threads(2)
net = ResNet20(); state = torch.load(sys.argv[2], map_location='cpu', weights_only=False)['state_dict']
net.load_state_dict({k.removeprefix('module.'): v for k, v in state.items()}); net.eval()
x = torch.from_numpy(np.load(sys.argv[3])).permute(0, 3, 1, 2).float() / 255
x = (x - torch.tensor([.485, .456, .406]).view(1, 3, 1, 1)) / torch.tensor([.229, .224, .225]).view(1, 3, 1, 1)
best = 1e9
with torch.inference_mode():
    for _ in range(3):
        started = time.perf_counter()
        for i in range(0, len(x), 128): net(x[i:i + 128])
        best = min(best, time.perf_counter() - started)
print(json.dumps(best))
`;

async function benchTorch(): Promise<BenchResult[]> {
  const python = process.env.BITLENS_PYTHON ?? 'python3';
  try {
    const { stdout } = await run(python, ['-c', TORCH, path.join(root, 'examples/resnet20'), path.join(data, 'resnet20/resnet20-12fca82f.th'), path.join(data, 'cifar10/test_images.npy')]);
    const torch = JSON.parse(stdout.trim().split('\n').at(-1)!) as number;
    const own = Math.min(await seconds('evaluate', ...resnet), await seconds('evaluate', ...resnet));
    return [
      { name: 'ResNet-20, forward of 2,000 images: PyTorch, preprocessing not counted', value: torch, unit: 's' },
      { name: '  ours, with reading, preprocessing and judging', value: own, unit: 's' },
      { name: '  PyTorch over ours', value: torch / own, unit: 'times', goal: { atLeast: 1 } },
    ];
  } catch {
    return [{ name: `forward beside PyTorch: skipped, ${python} has no PyTorch or the data is not there (BITLENS_PYTHON names another)`, value: null, unit: '' }];
  }
}

report(async () => [...await benchGptq(), ...await benchScan(), ...await benchTorch()]);
