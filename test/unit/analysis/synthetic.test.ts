/** Synthetic data as people name it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../../server/analysis/config';
import schema from '../../../server/analysis/bitlens.schema.json';
import type { ModelAnalysis } from '../../../server/analysis/model-analysis';
import { dataInFiles, modelData, sourceName, type DataOverrides } from '../../../server/analysis/model-data';
import { syntheticNames } from '../../../server/analysis/vocabulary';

const configured = (data: unknown) => parseConfig({ models: [{ source: 'm.py', task: 'classification', data }] }, '/work/bitlens.json').models[0]!;
const named = (data: unknown, given?: DataOverrides) => modelData({ entry: configured(data) } as unknown as ModelAnalysis, given);

test('the schema of bitlens.json offers what there is', () => {
  const { enum: offered, enumDescriptions } = schema.definitions.synthetic.properties.synthetic;
  assert.deepEqual(offered, syntheticNames());
  assert.equal(enumDescriptions.length, offered.length);
});

test('bitlens.json: the method, how many samples, and how long', () => {
  assert.deepEqual(configured({ calibration: { synthetic: 'self-generated', samples: 8, sequence: 64 } }).data!.calibration, { synthetic: 'self-generated', samples: 8, sequence: 64 });
  assert.throws(() => configured({ calibration: { synthetic: 'auto', samples: 0 } }), /models\[0\]\.data\.calibration\.samples must be a whole number of samples above 0/);
  assert.throws(() => configured({ calibration: { synthetic: 'auto', labels: 'y.npy' } }), /models\[0\]\.data\.calibration has no property "labels"/);
});

test('what is made up to learn from is never what is made up to judge on', () => {
  const one = named({ calibration: { synthetic: 'auto' } });
  assert.deepEqual([one.calibration, one.evaluation], [{ synthetic: 'auto' }, { synthetic: 'auto', seed: 1 }]);
  const other = named({ evaluation: { synthetic: 'noise' }, preprocess: { crop: [8, 8] } });
  assert.deepEqual([other.calibration, other.evaluation], [{ synthetic: 'noise', preprocess: { crop: [8, 8] } }, { synthetic: 'noise', preprocess: { crop: [8, 8] }, seed: 1 }]);
});

test('real data is never put aside for made-up data', () => {
  const judged = named({ calibration: { synthetic: 'zeroq' }, evaluation: { inputs: 'x.npy' } });
  assert.deepEqual([judged.calibration, judged.evaluation], [{ synthetic: 'zeroq' }, { inputs: '/work/x.npy' }]);
  assert.deepEqual(dataInFiles(judged), { inputs: '/work/x.npy' });
  assert.equal(dataInFiles(named({ calibration: { synthetic: 'zeroq' } })), null);
  assert.deepEqual(named({ calibration: { inputs: 'x.npy' } }).evaluation, null);
  // Named by the caller, it goes before what the file says.
  assert.deepEqual(named({ calibration: { inputs: 'x.npy' } }, { calibration: { synthetic: 'auto', samples: 2 }, sequence: 5 }).calibration, { synthetic: 'auto', samples: 2, sequence: 5 });
  assert.deepEqual([sourceName({ synthetic: 'zeroq' }), sourceName({ inputs: '/a/x.npy' })], ['synthetic data', 'x.npy']);
});
