/** From a budget to a recipe, to a trial, to a checkpoint that another program can load; and a trial that is cancelled. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, openSync, ftruncateSync, closeSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { Workbench } from './workbench';

test('a budget becomes a recipe, and the recipe a verified checkpoint', async (t) => {
  const bench = await Workbench.open({ theme: 'dark' });
  t.after(() => bench.close());
  await bench.openFile('model.py');
  // The lens stands above the root class, further down than the window shows.
  await bench.goToLine(78);
  await bench.page.locator('.codelens-decoration').filter({ hasText: /layers · / }).first().waitFor({ timeout: 60_000 });
  const recipe = path.join(bench.folder, 'model.recipe.json');
  await bench.command('Bitlens: Suggest Bit Allocation', '3.5 bits per weight');
  await bench.pick('The weights alone');
  await bench.answer(/model\.recipe\.json$/, recipe);
  assert.match(await bench.notification(/less error than/), /int\d-/, 'the uniform recipe of the same size is named');
  await bench.page.getByRole('tab', { name: /model\.recipe\.json/ }).first().waitFor();
  const layers = (JSON.parse(readFileSync(recipe, 'utf8')) as { layers: Record<string, unknown> }).layers;
  assert.ok(Object.keys(layers).length >= 17, 'every layer has a scheme');
  await bench.screenshot('recipe-dark');

  await bench.openFile('model.py');
  const out = path.join(bench.folder, 'small.safetensors');
  await bench.command('Bitlens: Run PTQ Trial', 'model.recipe.json');
  await bench.pick('Measure and export');
  await bench.pick('compressed-tensors');
  await bench.answer(/\.safetensors$/, out);
  assert.match(await bench.notification(/verified \d+ tensors/), /3\.\d+ bits on average/);
  assert.ok(existsSync(out));
  await bench.screenshot('trial-dark');
});

test('Cancel ends a trial and leaves nothing behind', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-workspace-'));
  largeModel(folder, 6, 8192);
  const bench = await Workbench.open({ folder, settings: { 'bitlens.formats': ['int8-sym-tensor'] } });
  t.after(() => bench.close());
  await bench.openFile('model.py');
  await bench.page.locator('.codelens-decoration').filter({ hasText: /layers · / }).first().waitFor({ timeout: 120_000 });
  const before = readdirSync(folder).sort();
  await bench.command('Bitlens: Run PTQ Trial', 'One format for all layers');
  await bench.pick('int4-sym-g128');
  await bench.pick('mse-clip');
  await bench.pick('Measure and export');
  await bench.pick('dequantized');
  await bench.answer(/\.safetensors$/, path.join(folder, 'out.safetensors'));
  const running = bench.page.locator('.notification-list-item').filter({ hasText: /PTQ trial/ }).first();
  const cancel = running.getByRole('button', { name: 'Cancel' });
  await cancel.waitFor();
  await bench.screenshot('trial-running-dark');
  await cancel.click();
  await running.waitFor({ state: 'hidden' });
  // The kernel takes its unfinished file down as soon as its loop sees the flag.
  for (let waited = 0; waited < 5000 && readdirSync(folder).length > before.length; waited += 100) await bench.page.waitForTimeout(100);
  assert.deepEqual(readdirSync(folder).sort(), before);
  assert.equal(await bench.page.locator('.notification-list-item').filter({ hasText: /verified|rror/ }).count(), 0, 'what the user asked for is no error');
});

/** A model of square layers with a sparse file of zeros: long to quantize, quick to make. */
function largeModel(folder: string, layers: number, width: number): void {
  writeFileSync(path.join(folder, 'model.py'), [
    'import torch.nn as nn', '', '',
    'class Wide(nn.Module):', '    def __init__(self):', '        super().__init__()',
    `        self.layers = nn.ModuleList(nn.Linear(${width}, ${width}, bias=False) for _ in range(${layers}))`, '',
  ].join('\n'));
  const each = width * width * 4;
  const header = Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: layers }, (_, i) =>
    [`layers.${i}.weight`, { dtype: 'F32', shape: [width, width], data_offsets: [i * each, (i + 1) * each] }]))));
  const padded = Buffer.concat([header, Buffer.alloc(-header.length & 7, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = openSync(path.join(folder, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([length, padded]));
  ftruncateSync(file, 8 + padded.length + layers * each);
  closeSync(file);
}
