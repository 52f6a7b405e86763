/** The same pages for eyes that need high contrast. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { axeViolations, Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ theme: 'high-contrast' }); });
after(async () => { await bench?.close(); });

test('the report is clean for axe in high contrast', async () => {
  await bench.openFile('model.py');
  await bench.goToLine(57);
  await bench.page.locator('.squiggly-info, .squiggly-warning').first().waitFor({ timeout: 60_000 });
  const frame = await bench.openPage(() => bench.command('Bitlens: Show Sensitivity Report'), 'table.heat');
  await frame.locator('body.vscode-high-contrast').waitFor();
  await frame.locator('figure figcaption').filter({ hasText: 'Weight histogram' }).first().waitFor();
  assert.deepEqual(await axeViolations(frame), []);
  await bench.screenshot('report-high-contrast');
});

test('the checkpoint view is clean for axe in high contrast', async () => {
  const frame = await bench.openPage(() => bench.openFile('weights.safetensors'), 'table.data button.link[title="Show statistics"]');
  assert.deepEqual(await axeViolations(frame), []);
  await bench.screenshot('checkpoint-high-contrast');
});
