/** Arguments that no shape tells are said where a checkpoint is of other sizes than the source's defaults. */
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { chooseRoot } from '../../../server/analysis/root-choice';
import { untoldText } from '../../../server/analysis/untold';
import { initParser } from '../../../server/python';
import { checkpoint } from '../linking/build';
import { at, workspace } from '../python/support';

before(initParser);

const SOURCE = `
import torch.nn as nn
class Attention(nn.Module):
    def __init__(self, dim=48, depth=2, heads=12, kernel=3, classes=10, window=0, dropout=0):
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.ModuleList([nn.Linear(dim, 3 * dim) for _ in range(depth)])
        self.conv = nn.Conv2d(dim, dim, kernel, bias=False)
        self.head = nn.Linear(dim, classes)
`;
const shapes = (dim: number, classes = 10): Record<string, readonly number[]> => ({
  ...Object.fromEntries([0, 1].flatMap((i) => [[`qkv.${i}.weight`, [3 * dim, dim]], [`qkv.${i}.bias`, [3 * dim]]])),
  'conv.weight': [dim, dim, 3, 3], 'head.weight': [classes, dim], 'head.bias': [classes],
});

async function untold(held: Record<string, readonly number[]>, args?: Record<string, unknown>): Promise<readonly string[]> {
  const python = workspace(SOURCE);
  try {
    const file = at('model.py');
    const chosen = await chooseRoot({ python, file, candidates: python.rootCandidates(file), checkpoint: checkpoint(held), values: [], ...(args ? { args, only: 'Attention', namedBy: 'here' } : {}) });
    assert.ok(chosen);
    assert.deepEqual(chosen.attempt.link.misshaped, []);
    return chosen.untold;
  } finally { python.dispose(); }
}

test('with another width the heads and the window are taken on trust, and what shapes tell is not', async () => {
  assert.deepEqual(await untold(shapes(24)), ['heads = 12', 'window = 0']);
});

test('a model of the default sizes, with another head or with arguments the user named, takes nothing on trust', async () => {
  assert.deepEqual(await untold(shapes(48)), []);
  assert.deepEqual(await untold(shapes(48, 3)), []);
  assert.deepEqual(await untold(shapes(24), { dim: 24, heads: 3 }), []);
});

test('the text names the arguments, the first six of many', () => {
  assert.match(untoldText(['heads = 12', 'window = 0']), /^heads = 12, window = 0: defaults of the source/);
  assert.match(untoldText(Array.from({ length: 8 }, (_, i) => `n${i} = ${i}`)), /n5 = 5 and 2 more: /);
});
