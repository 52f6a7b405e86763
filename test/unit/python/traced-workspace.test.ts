/** Traces are kept for as long as the files they were made from are what they were. */
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser } from '../../../server/python';
import { TracedWorkspace } from '../../../server/trace/workspace';

const MODEL = `import torch.nn as nn
from helper import act


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 8)

    def forward(self, x):
        return act(self.fc(x))
`;
before(() => initParser());

test('a trace is made again when a file that it read has changed, appeared or vanished', (t) => {
  const files = new Map<string, string>([['/w/model.py', MODEL]]);
  const python = new TracedWorkspace({ roots: () => ['/w'], readFile: (file) => files.get(file) ?? null });
  t.after(() => { python.dispose(); });
  const request = { file: '/w/model.py', root: 'Net', tensors: null };
  const operators = () => python.trace(request).graph.nodes.map(({ op }) => op);
  assert.equal(python.knownTrace(request), undefined, 'nothing is traced for the asking');
  assert.match(python.trace(request).stopped!.reason, /helper/);

  files.set('/w/helper.py', 'import torch\ndef act(x):\n    return torch.relu(x)\n');
  python.invalidate('/w/helper.py');
  assert.equal(python.knownTrace(request), undefined, 'the import was looked for, and is there now');
  assert.ok(operators().includes('Relu'));
  assert.equal(python.trace(request), python.knownTrace(request), 'nothing changed');

  python.open('/w/helper.py', 'import torch\ndef act(x):\n    return torch.tanh(x)\n');
  assert.equal(python.knownTrace(request), undefined);
  assert.ok(operators().includes('Tanh'));
  assert.equal(python.knownTrace({ ...request, inputs: [{ name: 'x', type: 'F32', shape: [1, 4] }] }), undefined, 'of other inputs');
  assert.notEqual(python.knownTrace(request), undefined);
});
