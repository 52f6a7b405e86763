/** Opening a checkpoint: a table from the header at once, the statistics of a tensor on demand, a refusal in words. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { axeViolations, Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ theme: 'light' }); });
after(async () => { await bench?.close(); });

test('a checkpoint opens as a table of its tensors', async () => {
  const frame = await bench.openPage(() => bench.openFile('weights.safetensors'), 'table.data');
  await frame.getByRole('button', { name: 'blocks.0.attn.qkv.weight' }).click();
  await frame.locator('figure figcaption').filter({ hasText: 'Weight histogram' }).first().waitFor({ timeout: 60_000 });
  for (const theme of ['light', 'dark'] as const) {
    await bench.theme(theme);
    await frame.locator(`body.vscode-${theme}`).waitFor();
    assert.deepEqual(await axeViolations(frame), [], `axe in ${theme}`);
    await bench.screenshot(`checkpoint-${theme}`);
  }
});

test('a damaged checkpoint says what is wrong and what to do', async () => {
  writeFileSync(path.join(bench.folder, 'pointer.safetensors'), 'version https://git-lfs.github.com/spec/v1\noid sha256:4665a576e3f7aac2a2a4c2a0e0f4cb4a0b0a0e3a2c4a4a2a2a2a2a2a2a2a2a2a\nsize 1234567\n');
  const frame = await bench.openPage(() => bench.openFile('pointer.safetensors'), 'p.message');
  const text = await frame.locator('p.message').innerText();
  assert.match(text, /git lfs pull/);
  assert.match(text, /1,?234,?567/);
});
