/** Data that is made up: what each method promises of it. */
import assert from 'node:assert/strict';
import test, { before, type TestContext } from 'node:test';
import { openCheckpoint } from '../../../kernels/checkpoint';
import type { SampleShape, Task } from '../../../kernels/data/data';
import { subgraph } from '../../../kernels/graph/cut';
import { methodOfKind } from '../../../kernels/methods/registry';
import { Random } from '../../../kernels/numerics/random';
import { mainInput, mainOutput } from '../../../kernels/run/feed';
import { PreparedModel } from '../../../kernels/run/prepared-model';
import type { NamedArray } from '../../../kernels/run/run-model';
import { openData } from '../../../kernels/synthetic/open-data';
import type { Made, Synthesis } from '../../../kernels/synthetic/synthesis';
import { initParser, PythonWorkspace } from '../../../server/python';
import { traceModel } from '../../../server/trace/trace';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporarySafetensors, type TestTensor } from '../../support/temporary-safetensors';

before(() => initParser());

const NET = `import torch.nn as nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.linear(x.mean((2, 3)))
`;
/** Token i is followed by i + 1, with no doubt left by scores of 50; scores of three tokens that nobody can look up are the highest. */
const CHAIN = `import torch.nn as nn

class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 7)
        self.head = nn.Linear(7, 10, bias=False)

    def forward(self, idx):
        return self.head(self.embed(idx))
`;

async function traced(t: TestContext, source: string, root: string, tensors: readonly TestTensor[], threads = 1): Promise<PreparedModel> {
  const file = await temporarySafetensors(t, tensors);
  const checkpoint = await openCheckpoint(file);
  const workspace = new PythonWorkspace({ readFile: (name) => (name === '/work/model.py' ? source : null), roots: () => ['/work'] });
  const { graph, stopped } = traceModel(workspace, { file: '/work/model.py', root, tensors: new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor])) });
  assert.equal(stopped, null, stopped?.reason);
  const model = await PreparedModel.open(graph, file, threads);
  t.after(() => model.close());
  return model;
}
function tensor(name: string, shape: number[], value: (i: number) => number): TestTensor {
  return { name, shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)) };
}
/** Means and deviations of channels, by the path of the batch norm. */
type Statistics = Readonly<Record<string, { readonly means: readonly number[]; readonly variances: readonly number[] }>>;
function netWeights(norms = true, known: Statistics = {}): TestTensor[] {
  const random = new Random(3);
  const normal = (scale: number) => (): number => scale * random.normal();
  const norm = (name: string, size: number): TestTensor[] => [
    tensor(`${name}.weight`, [size], () => 1), tensor(`${name}.bias`, [size], normal(0.3)),
    tensor(`${name}.running_mean`, [size], (i) => known[name]?.means[i] ?? 0), tensor(`${name}.running_var`, [size], (i) => known[name]?.variances[i] ?? 1),
  ];
  return [
    tensor('conv1.weight', [6, 3, 3, 3], normal(0.3)), ...(norms ? norm('bn1', 6) : []), tensor('conv2.weight', [8, 6, 3, 3], normal(0.2)), ...(norms ? norm('bn2', 8) : []),
    tensor('linear.weight', [5, 8], normal(0.5)), tensor('linear.bias', [5], normal(0.1)),
  ];
}
const chainWeights = (sure: number): TestTensor[] => [
  tensor('embed.weight', [7, 7], (i) => (i % 8 === 0 ? 1 : 0)),
  tensor('head.weight', [10, 7], (i) => { const [to, from] = [Math.floor(i / 7), i % 7]; return to >= 7 ? 99 : to === (from + 1) % 7 ? sure : 0; }),
];

const target = (model: PreparedModel, task: Task, sample: SampleShape, over: Partial<Synthesis> = {}): Synthesis => ({
  model, task, sample, input: mainInput(model.graph), output: mainOutput(model.graph), count: 12, seed: 0, throwIfCancelled: () => undefined, progress: () => undefined, ...over,
});
const PICTURE: SampleShape = { shape: [3, 12, 12], whole: false };
const make = (id: string, ...rest: Parameters<typeof target>): Promise<Made> => {
  const asked = target(...rest);
  assert.equal(methodOfKind('calibration', id).refuses(asked), null);
  return methodOfKind('calibration', id).run(asked);
};
const bytesOf = ({ samples: { data } }: Made): string => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');

/** What batch norms are given, in plain arithmetic. */
async function statisticsOf(model: PreparedModel, samples: NamedArray): Promise<Statistics> {
  const norms = model.graph.nodes.filter(({ op }) => op === 'BatchNormalization');
  const running = await model.start(subgraph(model.graph, [], norms.map(({ inputs }) => inputs[0]!)));
  const outputs = await running.run(new Map([[model.graph.inputs[0]!.name, samples]]));
  await running.close();
  return Object.fromEntries(norms.map(({ inputs, module }) => {
    const { data, shape: [n, channels, ...space] } = outputs.get(inputs[0]!)!;
    const places = space.reduce((a, b) => a * b, 1);
    const per = Array.from({ length: channels! }, (_, c) => Array.from({ length: n! * places }, (__, i) => Number(data[(Math.floor(i / places) * channels! + c) * places + (i % places)])));
    const means = per.map((values) => values.reduce((a, b) => a + b, 0) / values.length);
    return [module, { means, variances: per.map((values, c) => values.reduce((sum, value) => sum + (value - means[c]!) ** 2, 0) / values.length) }];
  }));
}
/** The net with batch norms that have seen pictures: each of one colour that fades from one side to the other. */
async function trained(t: TestContext): Promise<{ model: PreparedModel; statistics: Statistics }> {
  const random = new Random(8);
  const data = new Float32Array(64 * 3 * 144);
  for (let n = 0; n < 64 * 3; n += 1) { const [colour, slope] = [2 * random.normal(), 0.2 * random.normal()]; for (let i = 0; i < 144; i += 1) data[n * 144 + i] = colour + slope * (i % 12); }
  let statistics: Statistics = {};
  // One layer's statistics follow from those of the layers before.
  for (let layer = 0; layer < 2; layer += 1) statistics = await statisticsOf(await traced(t, NET, 'Net', netWeights(true, statistics)), { type: 'F32', shape: [64, 3, 12, 12], data });
  return { model: await traced(t, NET, 'Net', netWeights(true, statistics)), statistics };
}

test('zeroq: what batch norms see comes many times closer to what they stored', async (t) => {
  const { model, statistics } = await trained(t);
  const made = await make('zeroq', model, 'classification', PICTURE);
  assert.deepEqual(made.samples.shape, [12, 3, 12, 12]);
  const { before: noise, after } = made.distance!;
  assert.ok(after < noise / 10, `${noise} to ${after}`);
  // The distance is that of its definition.
  const own = await statisticsOf(model, made.samples);
  const each = Object.entries(statistics).map(([name, { means, variances }]) => {
    const deviation = (variance: number): number => Math.sqrt(variance + 1e-5);
    const error = means.reduce((sum, mean, c) => sum + (own[name]!.means[c]! - mean) ** 2 + (deviation(own[name]!.variances[c]!) - deviation(variances[c]!)) ** 2, 0);
    return error / variances.reduce((sum, variance) => sum + deviation(variance) ** 2, 0);
  });
  assert.equal(each.length, 2);
  const expected = (each[0]! + each[1]!) / 2;
  assert.ok(Math.abs(after - expected) < 1e-3 * expected, `${after} and ${expected}`);
});

test('zeroq: samples are optimised in groups, a last one included', async (t) => {
  const { model } = await trained(t);
  const reports: number[] = [];
  const made = await make('zeroq', model, 'classification', PICTURE, { count: 37, progress: (done, total) => { assert.equal(total, 37 * 41); reports.push(done); } });
  assert.equal(made.samples.shape[0], 37);
  assert.ok(made.distance!.after < made.distance!.before / 5);
  assert.deepEqual(reports, [...reports].sort((a, b) => a - b));
  assert.equal(reports.length, 2 * 41);
});

test('the same seed makes the same samples on any number of threads; another seed others', async (t) => {
  for (const [id, source, root, weights, task, sample] of [
    ['zeroq', NET, 'Net', netWeights(), 'classification', PICTURE], ['noise', NET, 'Net', netWeights(), 'classification', PICTURE],
    ['self-generated', CHAIN, 'Chain', chainWeights(1), 'language-model', { shape: [9], whole: true }], ['noise', CHAIN, 'Chain', chainWeights(1), 'language-model', { shape: [9], whole: true }],
  ] as const) {
    const [one, three] = [await traced(t, source, root, weights, 1), await traced(t, source, root, weights, 3)];
    const first = bytesOf(await make(id, one, task, sample));
    assert.equal(bytesOf(await make(id, one, task, sample)), first, id);
    assert.equal(bytesOf(await make(id, three, task, sample)), first, `${id} on three threads`);
    assert.notEqual(bytesOf(await make(id, one, task, sample, { seed: 1 })), first, id);
  }
});

test('self-generated: tokens follow from the model, and none is beyond its table', async (t) => {
  const sure = await make('self-generated', await traced(t, CHAIN, 'Chain', chainWeights(50)), 'language-model', { shape: [20], whole: true }, { count: 5 });
  const ids = [...sure.samples.data as BigInt64Array].map(Number);
  for (let n = 0; n < 5; n += 1) for (let i = 1; i < 20; i += 1) assert.equal(ids[n * 20 + i], (ids[n * 20 + i - 1]! + 1) % 7);
  // With a score of ln 6 against six of 0, the next token comes half of the time.
  const doubtful = await make('self-generated', await traced(t, CHAIN, 'Chain', chainWeights(Math.log(6))), 'language-model', { shape: [40], whole: true }, { count: 60 });
  const drawn = [...doubtful.samples.data as BigInt64Array].map(Number);
  assert.ok(drawn.every((id) => id >= 0 && id < 7));
  const followed = drawn.filter((id, i) => i % 40 > 0 && id === (drawn[i - 1]! + 1) % 7).length / (60 * 39);
  assert.ok(Math.abs(followed - 0.5) < 4 * Math.sqrt(0.25 / (60 * 39)), String(followed));
  assert.equal(new Set(Array.from({ length: 60 }, (_, n) => drawn[n * 40])).size, 7, 'first tokens are random');
});

test('self-generated: a sample does not depend on how many there are', async (t) => {
  const model = await traced(t, CHAIN, 'Chain', chainWeights(1));
  const [few, many] = [await make('self-generated', model, 'language-model', { shape: [9], whole: true }, { count: 3 }), await make('self-generated', model, 'language-model', { shape: [9], whole: true }, { count: 200 })];
  assert.deepEqual([...few.samples.data as BigInt64Array], [...many.samples.data as BigInt64Array].slice(0, 27));
});

test('noise: standard normal values, and tokens of the whole vocabulary', async (t) => {
  const { samples } = await make('noise', await traced(t, NET, 'Net', netWeights()), 'classification', PICTURE, { count: 100 });
  const values = [...samples.data as Float32Array];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  assert.ok(Math.abs(mean) < 0.02 && Math.abs(variance - 1) < 0.03, `${mean}, ${variance}`);
  const tokens = await make('noise', await traced(t, CHAIN, 'Chain', chainWeights(1)), 'language-model', { shape: [50], whole: true });
  assert.deepEqual([...new Set([...tokens.samples.data as BigInt64Array].map(Number))].sort(), [0, 1, 2, 3, 4, 5, 6]);
});

test('what a method cannot do is refused, with the reason', async (t) => {
  const net = await traced(t, NET, 'Net', netWeights());
  const plain = await traced(t, NET.replace(/ {8}self\.bn.*\n/g, '').replace(/self\.bn\d\((self\.conv\d\(x\))\)/g, '$1'), 'Net', netWeights(false));
  const chain = await traced(t, CHAIN, 'Chain', chainWeights(1));
  const open = (model: PreparedModel, task: Task, synthetic: string, sample: SampleShape = PICTURE) => openData({ synthetic, sample }, model, task, inlineJobContext());
  const tokens: SampleShape = { shape: [9], whole: true };
  await assert.rejects(open(plain, 'classification', 'zeroq'), { name: 'JobError', message: 'zeroq cannot make data for this model: it matches the statistics that batch norms store, and this model has no batch norm that its input reaches' });
  await assert.rejects(open(chain, 'language-model', 'zeroq', tokens), /has no batch norm/);
  await assert.rejects(open(net, 'classification', 'self-generated'), /it needs a language model that is given one row of tokens, and this model does classification on samples of shape \[3, 12, 12\]/);
  await assert.rejects(open(net, 'classification', 'gptq'), /"gptq" is not a calibration method; known: zeroq, self-generated, noise/);
  await assert.rejects(open(net, 'classification', 'noise', { shape: [4, 12, 12], whole: false }), /the model takes samples of shape \[3, height, width\]/);
});

test('zeroq: an operator without a gradient before a batch norm is named', async (t) => {
  const source = `import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.bn = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.bn(self.rnn(x)[0].transpose(1, 2))
`;
  const random = new Random(5);
  const shapes: [string, number[]][] = [['rnn.weight_ih_l0', [16, 3]], ['rnn.weight_hh_l0', [16, 4]], ['rnn.bias_ih_l0', [16]], ['rnn.bias_hh_l0', [16]], ['bn.weight', [4]], ['bn.bias', [4]], ['bn.running_mean', [4]], ['bn.running_var', [4]]];
  const model = await traced(t, source, 'Net', shapes.map(([name, shape]) => tensor(name, shape, () => random.uniform())));
  await assert.rejects(openData({ synthetic: 'auto', sample: { shape: [6, 3], whole: false } }, model, 'features', inlineJobContext()), { message: 'zeroq changes inputs by gradients, and this model has a part without: no gradient is known of the operator LSTM (in module rnn). synthetic:noise needs none' });
});

test('auto takes what suits the model, and every dataset says what it is', async (t) => {
  const open = (model: PreparedModel, task: Task, sample: SampleShape = PICTURE) => openData({ synthetic: 'auto', sample, samples: 4, seed: 2 }, model, task, inlineJobContext());
  const matched = await open(await traced(t, NET, 'Net', netWeights()), 'classification');
  assert.match(matched.title, /^synthetic data: noise matched to batch-norm statistics, distance 0\.\d+ to 0\.\d+$/);
  assert.deepEqual([matched.count, matched.hasLabels, matched.synthetic!.method, matched.synthetic!.seed], [4, false, 'zeroq', 2]);
  assert.throws(() => matched.labels([0]), /has no labels/);
  const chain = await traced(t, CHAIN, 'Chain', chainWeights(1));
  const written = await open(chain, 'language-model', { shape: [9], whole: true });
  assert.deepEqual([written.title, written.synthetic], ['synthetic data: texts that the model wrote itself', { method: 'self-generated', seed: 2 }]);
  const drawn = await open(chain, 'features', { shape: [9], whole: true });
  assert.equal(drawn.title, 'synthetic data: tokens drawn uniformly');
});

test('making data can be cancelled', async (t) => {
  const model = await traced(t, NET, 'Net', netWeights());
  const context = inlineJobContext({ cancelAfterPolls: 3 });
  await assert.rejects(openData({ synthetic: 'zeroq', sample: PICTURE, seed: 77 }, model, 'classification', context), /cancelled/);
  assert.equal(context.polls, 4);
  assert.ok(context.reports.every(([done, total]) => done >= 0 && done <= total));
});
