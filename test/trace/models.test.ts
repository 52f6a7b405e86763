/**
 * Traced models against PyTorch: each file of models/ is traced, run in onnxruntime on the weights and inputs of its golden,
 * and gives what PyTorch gave (generate.py). Where models.json names no shapes, the inputs are read off the source.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { initParser, PythonWorkspace } from '../../server/python';
import { traceModel } from '../../server/trace/trace';
import { repositoryRoot } from '../support/data';
import { openCheckpoint, readTensor, relativeError, runGraph } from '../support/run-graph';

const folder = path.join(repositoryRoot, 'test/trace');
const models = JSON.parse(readFileSync(path.join(folder, 'models.json'), 'utf8')) as { name: string; root: string; shapes?: (number | string)[][] }[];
const TOLERANCE = 1e-4;

before(() => initParser());

for (const { name, root, shapes } of models) {
  test(`${name} is traced whole and equals PyTorch`, async () => {
    const workspace = new PythonWorkspace({ readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } }, roots: () => [path.join(folder, 'models')] });
    const checkpoint = await openCheckpoint(path.join(folder, 'goldens', `${name}.safetensors`));
    const byName = (prefix: string) => new Map(checkpoint.tensors.filter((tensor) => tensor.name.startsWith(prefix)).map((tensor) => [tensor.name.slice(prefix.length), tensor] as const));
    const [weights, inputs, outputs] = [byName('w.'), byName('in.'), byName('out.')];
    const result = traceModel(workspace, {
      file: path.join(folder, 'models', `${name}.py`), root, tensors: weights,
      ...(shapes ? { inputs: shapes.map((shape, i) => ({ name: `input_${i}`, type: 'F32' as const, shape })) } : {}),
    });
    assert.equal(result.stopped, null, result.stopped ? `stopped: ${result.stopped.reason} (line ${(result.stopped.span?.startLine ?? -1) + 1})` : '');
    assert.ok(result.graph.nodes.every((node) => node.span !== undefined), 'every node has a place in the source');
    const made = await runGraph(result.graph, checkpoint, Array.from({ length: inputs.size }, (_, i) => readTensor(checkpoint, inputs.get(String(i))!)));
    assert.equal(made.length, outputs.size);
    made.forEach((value, i) => {
      const expected = readTensor(checkpoint, outputs.get(String(i))!);
      assert.deepEqual(value.shape, expected.shape);
      const error = relativeError(value.data, expected.data);
      assert.ok(error <= TOLERANCE, `output ${i} differs by ${error}`);
    });
    workspace.dispose();
  });
}

test('there are at least 40 models', () => assert.ok(models.length >= 40));

test('what the source does not tell is said, and an operator that is given the wrong rank ends the trace', () => {
  const source = 'import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n        self.fc = nn.Linear(4, width)\n    def forward(self, x):\n        return self.fc(x)\n'
    + 'class Flat(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.pool = nn.Unfold(3)\n    def forward(self, x):\n        return self.pool(x)\n';
  const workspace = new PythonWorkspace({ readFile: (file) => (file === '/w/model.py' ? source : null), roots: () => ['/w'] });
  const trace = (root: string) => traceModel(workspace, { file: '/w/model.py', root, tensors: null, inputs: [{ name: 'x', type: 'F32', shape: ['batch', 4] }] }).stopped?.reason;
  assert.equal(trace('Net'), 'the source does not tell the shape of fc.weight, and there is no checkpoint that does');
  assert.equal(trace('Flat'), 'Unfold cannot take what it is given here');
  workspace.dispose();
});
