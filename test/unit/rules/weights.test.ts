/** Rules on measured weights: BL101 to BL106, each with what must not be said. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { batchNorm, checkpoint, checkpointOf, conv, embedding, linear, tensor, tree } from '../linking/build';
import { analysis, at, error, findings } from './fixture';

const two = tree(linear('a', 128, 64, at(5)), linear('b', 128, 64, at(6)));
const twoStored = checkpoint({ 'a.weight': [64, 128], 'a.bias': [64], 'b.weight': [64, 128], 'b.bias': [64] });
/** Four blocks made by one line. */
const blocks = tree(...[0, 1, 2, 3].map((index) => linear(`layers.${index}.qkv`, 128, 64, at(9))));
const blocksStored = checkpoint(Object.fromEntries([0, 1, 2, 3].map((index) => [`layers.${index}.qkv.weight`, [64, 128]])));

test('BL101 names the number, the threshold and the cheapest format that keeps it', () => {
  const formats = { 'int4-sym-g128': error(18, 4.25), 'int6-sym-channel': error(29.5, 6.1), 'int8-sym-channel': error(42, 8.1), 'bf16': error(52, 16) };
  const [finding, ...rest] = findings('BL101', analysis({ tree: two, checkpoint: twoStored, scans: { a: { formats } } }));
  assert.equal(rest.length, 0, 'b keeps 24 dB');
  assert.equal(finding!.layer, 'a');
  assert.equal(finding!.span?.startLine, 5);
  assert.equal(finding!.severity, 'information', 'two dB below the threshold is advice');
  assert.equal(finding!.message, 'a: 18.0 dB in int4-sym-g128, below 20.0 dB; int6-sym-channel keeps 29.5 dB (measured on the weights of weights.safetensors).');
  assert.deepEqual(finding!.suggestion?.layers, [{ path: 'a', format: 'int6-sym-channel' }]);
});

test('BL101 warns when the error is four times what the threshold allows, and honours a severity of the user', () => {
  const model = analysis({ tree: two, checkpoint: twoStored, scans: { a: { formats: { 'int4-sym-g128': error(13.9, 4.25) } } } });
  assert.equal(findings('BL101', model)[0]!.severity, 'warning');
  assert.match(findings('BL101', model)[0]!.message, /no measured format reaches it/);
  assert.equal(findings('BL101', model, { severities: { BL101: 'hint' } })[0]!.severity, 'hint');
  assert.deepEqual(findings('BL101', model, { severities: { BL101: 'off' } }), []);
});

test('BL101 merges the layers of one line and speaks with the worst', () => {
  const low = (db: number) => ({ formats: { 'int4-sym-g128': error(db, 4.25), 'int8-sym-channel': error(40, 8) } });
  const model = analysis({ tree: blocks, checkpoint: blocksStored, scans: { 'layers.0.qkv': low(18), 'layers.1.qkv': low(17), 'layers.2.qkv': low(14.2), 'layers.3.qkv': low(19) } });
  const [finding, ...rest] = findings('BL101', model);
  assert.equal(rest.length, 0);
  assert.match(finding!.message, /^layers\.0\.\.3\.qkv: worst 14\.2 dB in int4-sym-g128 at layers\.2\.qkv, below 20\.0 dB/);
  assert.deepEqual(finding!.layers, ['layers.0.qkv', 'layers.1.qkv', 'layers.2.qkv', 'layers.3.qkv']);
  assert.equal(finding!.suggestion?.layers?.length, 4);
});

test('BL101 follows the recipe: a layer that it keeps, or gives enough bits, is silent', () => {
  const formats = { 'int4-sym-g128': error(12, 4.25), 'int8-sym-channel': error(40, 8) };
  const scans = { a: { formats }, b: { formats } };
  const model = analysis({ tree: two, checkpoint: twoStored, scans, recipe: { default: { weights: 'int4-sym-g128' }, layers: { a: { weights: 'int8-sym-channel' }, b: { weights: 'keep' } } } });
  assert.deepEqual(findings('BL101', model), []);
  assert.equal(findings('BL101', analysis({ tree: two, checkpoint: twoStored, scans })).length, 2);
});

test('BL101 resolves a shorthand target, and says nothing of formats that were not measured or that are exact', () => {
  const scans = { a: { formats: { 'int4-sym-channel': error(12, 4.1) } }, b: { formats: { 'int4-sym-channel': error(null, 4.1, 0) } } };
  const model = analysis({ tree: two, checkpoint: twoStored, scans });
  assert.deepEqual(findings('BL101', model, { targetFormat: 'int4' }).map(({ layer }) => layer), ['a']);
  assert.deepEqual(findings('BL101', model, { targetFormat: 'int3' }), []);
  assert.deepEqual(findings('BL101', model, { targetFormat: 'nonsense' }), []);
});

test('rules on weights are silent until the measurement is ready', () => {
  const model = analysis({ tree: two, checkpoint: twoStored });
  for (const code of ['BL101', 'BL102', 'BL103', 'BL104', 'BL105', 'BL106']) assert.deepEqual(findings(code, model), []);
});

test('BL102: kurtosis or outliers, but not for a handful of values', () => {
  const kurtosis = (value: number, count = 4096, outlierShare = 0) => analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { kurtosis: value, count, outlierShare } } } });
  assert.match(findings('BL102', kurtosis(24.3))[0]!.message, /kurtosis 24\.3/);
  assert.equal(findings('BL102', kurtosis(4, 4096, 0.002)).length, 1, 'outlier share alone');
  assert.deepEqual(findings('BL102', kurtosis(9.9)), []);
  assert.deepEqual(findings('BL102', kurtosis(24.3, 100)), []);
  assert.deepEqual(findings('BL102', kurtosis(24.3), { kurtosis: 30 }), []);
});

test('BL103 warns only where one scale must serve all channels', () => {
  const model = analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { channelRangeSpread: 64 } } } });
  const [perTensor] = findings('BL103', model, { targetFormat: 'int8-sym-tensor' });
  assert.equal(perTensor!.severity, 'warning');
  assert.match(perTensor!.message, /64 times the median; int8-sym-tensor has one scale for all channels, which costs the median channel 6\.0 bits/);
  assert.equal(findings('BL103', model)[0]!.severity, 'hint');
  assert.deepEqual(findings('BL103', model, { channelRangeSpread: 65 }), []);
});

test('BL103 survives a spread that is not a number', () => {
  const model = analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { channelRangeSpread: NaN } } } });
  assert.deepEqual(findings('BL103', model), []);
});

test('BL104 counts dead and constant channels, and leaves the padding row of an embedding alone', () => {
  const dead = analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { deadChannelCount: 7, deadChannels: [1, 2, 3, 4, 5, 6, 7], constantChannelCount: 1 } } } });
  assert.equal(findings('BL104', dead)[0]!.message, 'a: 7 dead (all zero) and 1 constant of 64 output channels; dead: 1, 2, 3, 4, 5, … (measured on the weights of weights.safetensors).');
  const words = tree({ ...embedding('emb', 100, 16), args: { padding_idx: 0 } });
  const stored = checkpoint({ 'emb.weight': [100, 16] });
  const padded = (count: number) => analysis({ tree: words, checkpoint: stored, scans: { emb: { statistics: { deadChannelCount: count, deadChannels: [0] } } } });
  assert.deepEqual(findings('BL104', padded(1)), []);
  assert.equal(findings('BL104', padded(2)).length, 1);
  const single = analysis({ tree: two, checkpoint: twoStored, scans: { a: { rows: 64, cols: 1, statistics: { constantChannelCount: 64 } } } });
  assert.deepEqual(findings('BL104', single), [], 'a row of one weight is constant by nature');
});

test('BL105 is an error with both counts', () => {
  const [finding] = findings('BL105', analysis({ tree: two, checkpoint: twoStored, scans: { b: { statistics: { nan: 3, inf: 1 } } } }));
  assert.equal(finding!.severity, 'error');
  assert.match(finding!.message, /^b: 3 NaN and 1 infinite of 8,192 values/);
  assert.equal(finding!.span?.startLine, 6);
});

test('BL106: overflow is a warning only when fp16 is where the weight goes', () => {
  const model = analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { fp16Overflow: 2, absmax: 1e5 } } } });
  assert.equal(findings('BL106', model)[0]!.severity, 'information');
  assert.match(findings('BL106', model)[0]!.message, /2 values overflow fp16 \(largest 100000, fp16 ends at 65504\)/);
  assert.equal(findings('BL106', model, { targetFormat: 'fp16' })[0]!.severity, 'warning');
});

test('BL106: scales in fp16, underflow, and weights clipped when they were saved', () => {
  const scans = (changes: object) => analysis({ tree: two, checkpoint: twoStored, scans: { a: { statistics: { ...changes } } } });
  assert.match(findings('BL106', scans({ absmax: 1e6 }), { targetFormat: 'int4-sym-g128-sf16' })[0]!.message, /scales of int4-sym-g128-sf16 overflow/);
  assert.deepEqual(findings('BL106', scans({ absmax: 1e6 }), { targetFormat: 'int4-sym-g128' }), []);
  assert.equal(findings('BL106', scans({ fp16Underflow: 100 }), { targetFormat: 'fp16' }).length, 1);
  assert.deepEqual(findings('BL106', scans({ fp16Underflow: 1 }), { targetFormat: 'fp16' }), []);
  assert.deepEqual(findings('BL106', scans({ fp16Underflow: 100 })), []);
  const halves = checkpointOf([tensor('a.weight', [64, 128], 'F16')]);
  const clipped = analysis({ tree: tree(linear('a', 128, 64)), checkpoint: halves, scans: { a: { statistics: { absmax: 65504 } } } });
  assert.match(findings('BL106', clipped)[0]!.message, /probably clipped when saved/);
});

test('layers without a weight of two dimensions are never measured, so nothing is said of them', () => {
  const model = analysis({ tree: tree(conv('c', 3, 8), batchNorm('bn', 8)), checkpoint: checkpoint({ 'c.weight': [8, 3, 3, 3], 'bn.weight': [8], 'bn.bias': [8], 'bn.running_mean': [8], 'bn.running_var': [8], 'bn.num_batches_tracked': [] }), scans: {} });
  assert.deepEqual([...(model.measurements.state === 'ready' ? model.measurements.scans.keys() : [])], ['c']);
});
