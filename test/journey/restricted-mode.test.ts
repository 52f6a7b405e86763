/** A workspace nobody has trusted yet: reading works, nothing is run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test, { after, before } from 'node:test';
import { Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ trust: false, settings: { 'security.workspace.trust.startupPrompt': 'never' } }); });
after(async () => { await bench?.close(); });

/** Command lines of kernel processes that the installed extension has started. */
const kernels = (): string[] => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => /dist\/kernel\.js/.test(line) && line.includes('bitlens-profile'));

test('a checkpoint still opens and no kernel process is started', async () => {
  const frame = await bench.openPage(() => bench.openFile('weights.safetensors'), 'table.data');
  assert.ok((await frame.locator('table.data tbody tr').count()) > 30);
  assert.deepEqual(kernels(), []);
});

test('a trial explains that it needs trust', async () => {
  await bench.openFile('model.py');
  await bench.command('Bitlens: Run PTQ Trial').catch(() => undefined);
  // The command is either not offered or says why it does not run.
  assert.deepEqual(kernels(), []);
});

test('once the folder is trusted, layers are measured without a reload', async () => {
  await bench.command('Workspaces: Manage Workspace Trust');
  await bench.page.getByRole('button', { name: /^Trust/ }).first().click();
  await bench.screenshot('trust-granted-dark');
  // The trust editor lies above the others until it is closed.
  await bench.page.getByText('You trust this folder').click();
  await bench.page.keyboard.press('Escape');
  await bench.page.getByText('You trust this folder').waitFor({ state: 'hidden' });
  await bench.openFile('model.py');
  await bench.goToLine(57);
  await bench.page.locator('.squiggly-warning, .squiggly-info').first().waitFor({ timeout: 60_000 });
  assert.ok(kernels().length > 0, 'the numbers come from a kernel process');
});
