/** Hover inside forward: what the trace found an expression to be. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { MarkupContent } from 'vscode-languageserver/node';
import { start, workspace, type TestClient } from './harness';

const MODEL = `import torch
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.fc = nn.Linear(width, out)

    def forward(self, values):
        return torch.relu(self.fc(values))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.first = Block(16, 24)
        self.second = Block(24, 8)

    def forward(self, tokens):
        B, T = tokens.shape
        x = self.second(self.first(self.embed(tokens)))
        left, right = x.chunk(2, dim=-1)
        pair = (left, right)
        joined = left.reshape(B * T, 4)
        return joined == 0
`;

/** What the hover shows on the \`offset\`-th character of the first place of a text. */
async function shown(client: TestClient, uri: string, text: string, place: string, offset = 0): Promise<string | null> {
  const lines = text.split('\n');
  const line = lines.findIndex((each) => each.includes(place));
  const hover = await client.hover(uri, line, lines[line]!.indexOf(place) + offset);
  return hover && (hover.contents as MarkupContent).value;
}

test('expressions, assigned names and parameters show shape and type, free dimensions by name', async (t) => {
  const files = workspace(t);
  files.write('model.py', MODEL);
  const { client } = await start(t, files.folder);
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  const at = (place: string, offset = 0) => shown(client, uri, MODEL, place, offset);
  const says = async (place: string, text: string, offset = 0): Promise<void> => {
    const found = await at(place, offset);
    assert.ok(found?.startsWith(`\`${text}\``), `${place}: ${found}`);
  };
  await says('tokens):', 'int64 [batch, sequence]');
  await says('B, T = ', 'batch');
  await says('tokens.shape', '(batch, sequence)', 'tokens.'.length + 1);
  await says('tokens.shape', 'int64 [batch, sequence]', 1);
  await says('x = self.second', 'float32 [batch, sequence, 8]');
  await says('left, right = x', 'float32 [batch, sequence, 4]');
  await says('(left, right)', '(float32 [batch, sequence, 4], float32 [batch, sequence, 4])');
  await says('B * T', 'batch*sequence', 2);
  await says('joined == 0', 'bool [batch*sequence, 4]', 8);
  assert.match((await at('x = self.second'))!, /Traced from the source for tokens \\\[batch, sequence\\\]/);
  // One line that runs for two modules: each with its own shape.
  const values = (await at('values)'))!;
  assert.match(values, /`float32 \[batch, sequence, 16\]` in `first`/);
  assert.match(values, /`float32 \[batch, sequence, 24\]` in `second`/);
  assert.equal(await at('super().__init__'), null);
});

test('the shape follows an edit, and ends where the trace ends', async (t) => {
  const files = workspace(t);
  files.write('model.py', MODEL);
  const { client } = await start(t, files.folder);
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  assert.match((await shown(client, uri, MODEL, 'x = self.second'))!, /\[batch, sequence, 8\]/);
  const lines = MODEL.split('\n');
  const line = lines.findIndex((each) => each.includes('Block(24, 8)'));
  const character = lines[line]!.indexOf('8)');
  await client.edit(uri, [{ range: { start: { line, character }, end: { line, character: character + 1 } }, text: '12' }]);
  assert.match((await shown(client, uri, MODEL, 'x = self.second'))!, /\[batch, sequence, 12\]/);
  // A reshape to the old width cannot be followed: names before it are known, those after it are not.
  assert.match((await shown(client, uri, MODEL, 'left, right = x'))!, /\[batch, sequence, 6\]/);
  assert.equal(await shown(client, uri, MODEL, 'joined == 0'), null);
});
