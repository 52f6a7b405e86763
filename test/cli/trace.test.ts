/** bitlens trace: the JSON it promises, the model it writes, and where it stops. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { loadRuntime } from '../../kernels/run/onnx-runtime';
import { repositoryRoot } from '../support/data';
import { bitlens } from './run';

const GPT = path.join(repositoryRoot, 'examples/shakespeare-gpt/model.py');

test('the example is traced whole, and its ONNX model runs', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-trace-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const out = path.join(folder, 'gpt.onnx');
  const outcome = await bitlens(['trace', `${GPT}:GPT`, '--onnx', out, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = JSON.parse(outcome.stdout);
  assert.equal(document.complete, true);
  assert.deepEqual(document.inputs, [{ name: 'idx', type: 'I64', shape: ['batch', 'sequence'] }]);
  assert.deepEqual(document.outputs[0].shape, ['batch', 'sequence', 65]);
  assert.equal(document.stopped, null);
  assert.ok(document.reached.includes('blocks.3.mlp.down') && document.notReached.length === 0);
  assert.ok(document.nodes.some((node: { module: string; line: number }) => node.module === 'blocks.0.attn.qkv' && node.line > 0));
  assert.equal(document.onnx.runs, true);
  const runtime = loadRuntime();
  const session = await runtime.InferenceSession.create(out);
  const results = await session.run({ idx: new runtime.Tensor('int64', BigInt64Array.from([1n, 2n, 3n]), [1, 3]) });
  assert.deepEqual(results[session.outputNames[0]!]!.dims, [1, 3, 65]);
  await session.release();
});

test('what is not known stops the trace on its line, with a finding; layers before it are reached', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-trace-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'm.py');
  writeFileSync(file, `import torch\nimport torch.nn as nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(4, 4)\n        self.b = nn.Linear(4, 4)\n\n    def forward(self, x):\n        x = self.a(x)\n        x = torch.special.bessel_j0(x)\n        return self.b(x)\n`);
  const outcome = await bitlens(['trace', file, '--json']);
  assert.equal(outcome.code, 1);
  const document = JSON.parse(outcome.stdout);
  assert.equal(document.complete, false);
  assert.equal(document.stopped.line, 13);
  assert.match(document.stopped.reason, /bessel_j0/);
  assert.deepEqual([document.reached, document.notReached], [['a'], ['b']]);
  assert.deepEqual(document.findings.map(({ code }: { code: string }) => code), ['BL503']);
  const refused = await bitlens(['trace', file, '--onnx', path.join(folder, 'm.onnx')]);
  assert.equal(refused.code, 2);
});
