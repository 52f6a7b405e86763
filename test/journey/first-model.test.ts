/** The first quarter of an hour: open the example, see squiggles, hover, quantize a layer, see the report, export it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { axeViolations, Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ theme: 'dark' }); });
after(async () => { await bench?.close(); });

test('opening the model shows findings on the lines that create the layers', async () => {
  await bench.openFile('model.py');
  await bench.goToLine(57);
  await bench.page.locator('.squiggly-warning, .squiggly-info').first().waitFor({ timeout: 60_000 });
  await bench.page.keyboard.press('Control+Shift+m');
  const problem = bench.page.locator('.markers-panel-container .monaco-list-row').filter({ hasText: 'BL101' }).first();
  await problem.waitFor({ timeout: 60_000 });
  assert.match(await problem.innerText(), /dB/);
  await bench.screenshot('findings-dark');
  await bench.theme('light');
  await bench.screenshot('findings-light');
  await bench.theme('dark');
});

test('the lens above the root class names size now and after', async () => {
  await bench.page.keyboard.press('Control+Shift+m');
  await bench.openFile('model.py');
  await bench.goToLine(78);
  await bench.page.locator('.codelens-decoration').filter({ hasText: /layers · .+ → .+ bits/ }).first().waitFor({ timeout: 60_000 });
});

test('a hover on a layer shows formats, SQNR and size, and where the numbers come from', async () => {
  await bench.goToLine(57);
  const word = bench.page.locator('.view-line').filter({ hasText: 'self.down = nn.Linear' }).first();
  await word.scrollIntoViewIfNeeded();
  await word.getByText('Linear').first().hover();
  const hover = bench.page.locator('.monaco-hover').filter({ hasText: 'SQNR' }).first();
  await hover.waitFor();
  const text = await hover.innerText();
  assert.match(text, /int4-sym-g128/);
  assert.match(text, /BL101/);
  assert.match(text, /weights\.safetensors/);
  await bench.screenshot('hover-dark');
});

test('Quantize Layer measures one layer and says before and after', async () => {
  await bench.command('Bitlens: Quantize Layer', 'blocks.0.mlp.up');
  await bench.pick('int4-sym-g128');
  await bench.pick('mse-clip');
  const text = await bench.notification(/blocks\.0\.mlp\.up.* dB/s);
  assert.match(text, /int4-sym-g128/);
  await bench.screenshot('quantize-layer-dark');
});

test('the report opens, answers to the keyboard, and is clean for axe in light and dark', async () => {
  await bench.command('Notifications: Clear All Notifications');
  const frame = await bench.openPage(() => bench.command('Bitlens: Show Sensitivity Report'), 'table.heat');
  assert.ok((await frame.locator('table.heat tbody tr').count()) >= 17, 'a row for every layer');
  assert.ok(await frame.locator('table.data').count(), 'the table is always present');
  await frame.locator('table.heat td[tabindex="0"]').focus();
  await bench.page.keyboard.press('ArrowRight');
  await bench.page.keyboard.press('ArrowDown');
  await bench.page.keyboard.press('Enter');
  await frame.locator('figure figcaption').filter({ hasText: 'Weight histogram' }).first().waitFor();
  for (const theme of ['dark', 'light'] as const) {
    await bench.theme(theme);
    await frame.locator(`body.vscode-${theme}`).waitFor();
    assert.deepEqual(await axeViolations(frame), [], `axe in ${theme}`);
    await frame.evaluate(() => window.scrollTo(0, 0));
    await bench.screenshot(`report-${theme}`);
  }
  await bench.theme('dark');
});

test('the whole report fits a wide window', async () => {
  await bench.theme('light');
  await bench.page.keyboard.press('Control+b');
  await bench.command('View: Toggle Maximize Editor Group');
  const frame = await bench.webview('table.heat');
  await frame.locator('figure.curve').waitFor();
  await frame.evaluate(() => window.scrollTo(0, 0));
  const layers = await frame.locator('table.heat tbody tr').count();
  const chosen = await frame.locator('table.heat td.chosen').count();
  assert.equal(chosen, layers, 'one format is framed for every layer');
  await bench.screenshot('report-wide-light');
  // The keyboard is in the page; the workbench takes it back.
  await bench.page.getByRole('tab', { name: /Sensitivity/ }).first().click();
  await bench.command('View: Toggle Maximize Editor Group');
  await bench.page.keyboard.press('Control+b');
  await bench.theme('dark');
});

test('the report exports as one self-contained HTML file', async () => {
  const out = path.join(bench.folder, 'exported.html');
  await bench.command('Bitlens: Export Report', 'html');
  await bench.answer(/sensitivity\.html$/, out);
  const deadline = Date.now() + 60_000;
  while (!existsSync(out) && Date.now() < deadline) await bench.page.waitForTimeout(200);
  const html = readFileSync(out, 'utf8');
  assert.match(html, /bitlens-data/);
  assert.doesNotMatch(html, /(src|href)="https?:/);
});

test('nothing was asked of any other host', () => {
  assert.deepEqual(bench.foreignRequests, []);
});
