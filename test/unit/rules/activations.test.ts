/** Findings about activations: each fires on what it is about, and stays silent beside it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ObservedValue } from '../../../kernels/jobs/job';
import type { ActivationStatistics } from '../../../kernels/run/activation-statistics';
import type { ObservedRole } from '../../../kernels/run/observed';
import { checkpoint, linear, tree } from '../linking/build';
import { analysis, at, findings } from './fixture';

const plain: ActivationStatistics = {
  count: 1000, nonFinite: 0, zeros: 0, min: -3, max: 3, absmax: 3, mean: 0, std: 1, kurtosis: 3, magnitude: { p50: 0.7, p99: 2.6, p999: 3, p9999: 3 },
  histogram: { edges: [0.001, 0.1, 4], counts: [100, 900] }, channels: { index: [0, 1], absmax: [3, 3], energy: [1, 1], total: 64 }, channelSpread: 1.2, outlierChannels: [],
};
const value = (role: ObservedRole, statistics: Partial<ActivationStatistics>, more: Partial<ObservedValue> = {}): ObservedValue =>
  ({ value: `v${role}`, role, op: 'Add', module: 'block', ...at(12), statistics: { ...plain, ...statistics }, ...more });
const TREE = tree(linear('block', 64, 64, at(12)));
const CHECKPOINT = checkpoint({ 'block.weight': [64, 64], 'block.bias': [64] });

function found(code: string, ...values: readonly ObservedValue[]): string[] {
  const model = analysis({ tree: TREE, checkpoint: CHECKPOINT });
  return findings(code, { ...model, activations: { values, samples: 8, seconds: 1, data: 'x.npy' } }).map(({ message }) => message);
}

const CASES: readonly { code: string; role: ObservedRole; bad: Partial<ActivationStatistics>; message: RegExp; more?: Partial<ObservedValue>; beside?: readonly ObservedValue[] }[] = [
  { code: 'BL201', role: 'layer-input', bad: { channelSpread: 64, outlierChannels: [5, 9] }, message: /2 of 64 input channels \(5, 9\) reach 64 times the median channel; .* 6\.0 bits \(measured on 8 samples of x\.npy\)/ },
  { code: 'BL202', role: 'activation', bad: { min: -0.17, max: 8 }, message: /run from -0\.17 to 8; a symmetric grid would use 51 % of its codes/ },
  { code: 'BL203', role: 'softmax', bad: { histogram: { edges: [1e-5, 1e-3, 1], counts: [800, 200] } }, message: /80\.0 % of the probabilities/ },
  { code: 'BL204', role: 'sum', bad: { absmax: 1500, max: 1500 }, message: /reaches 1500, against a median magnitude of 0\.7/ },
  { code: 'BL205', role: 'norm-input', bad: { absmax: 300, max: 300 }, message: /reach 300, whose square 9\d{4} overflows fp16|reach 300, whose square 90000 overflows fp16/ },
  { code: 'BL206', role: 'sum', bad: {}, more: { terms: ['a', 'b'] }, message: /reach 64 and 2; under one scale the smaller loses 5\.0 bits/,
    beside: [value('term', { magnitude: { ...plain.magnitude, p999: 64 } }, { value: 'a' }), value('term', { magnitude: { ...plain.magnitude, p999: 2 } }, { value: 'b' })] },
  { code: 'BL207', role: 'logits', bad: { max: 130, absmax: 130 }, message: /logits reach 130, where bf16 numbers are 1 apart/ },
];
for (const { code, role, bad, message, more, beside = [] } of CASES) {
  test(`${code} fires, with its number and where it was measured`, () => {
    const messages = found(code, value(role, bad, more), ...beside);
    assert.equal(messages.length, 1);
    assert.match(messages[0]!, message);
  });
  test(`${code} is silent on ordinary activations, and on none`, () => {
    assert.deepEqual(found(code, value(role, {}, { terms: ['t', 'u'] }), value('term', {}, { value: 't' }), value('term', {}, { value: 'u' })), []);
    assert.deepEqual(found(code), []);
  });
}
test('BL207 takes no mask for a logit', () => {
  assert.deepEqual(found('BL207', value('logits', { min: -1e9, absmax: 1e9, max: 20 })), []);
});

test('BL208 fires where int8 products of one output may overflow int32, by the shape alone', () => {
  const deep = (inputs: number) => analysis({ tree: tree(linear('fc', inputs, 2, at(5))), checkpoint: checkpoint({ 'fc.weight': [2, inputs], 'fc.bias': [2] }) });
  assert.match(findings('BL208', deep(200_000))[0]!.message, /fc: 200,000 inputs of one output need 33 bits/);
  assert.deepEqual(findings('BL208', deep(131_071)), []);
});
