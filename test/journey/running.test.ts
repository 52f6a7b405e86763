/** Running the model in the editor: how good it is, which layers matter, and what a calibrated trial wins back. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { axeViolations, Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ theme: 'dark' }); });
after(async () => { await bench?.close(); });

test('Evaluate Model on Data says how good the model is', async () => {
  await bench.openFile('model.py');
  await bench.goToLine(78);
  await bench.page.locator('.codelens-decoration').filter({ hasText: /layers · / }).first().waitFor({ timeout: 60_000 });
  await bench.command('Bitlens: Evaluate Model on Data');
  assert.match(await bench.notification(/Perplexity/), /Perplexity 5\.\d+ ± 0\.\d+, 1\.\d+ nats per token, on 64 samples of tokens_eval\.npy/);
});

test('Measure Layer Sensitivity fills the report, which stays clean for axe', async () => {
  await bench.command('Notifications: Clear All Notifications');
  await bench.command('Bitlens: Measure Layer Sensitivity on Data', 'kl');
  assert.match(await bench.notification(/Most sensitive/), /kl of 18 layers on 64 samples/);
  await bench.command('Notifications: Clear All Notifications');
  const frame = await bench.openPage(() => bench.command('Bitlens: Show Sensitivity Report'), '#measured-title');
  assert.match(await frame.locator('section[aria-labelledby=measured-title]').innerText(), /Kendall's tau/);
  await frame.locator('#measured-title').scrollIntoViewIfNeeded();
  assert.deepEqual(await axeViolations(frame), []);
  await bench.screenshot('measured-dark');
  await bench.theme('light');
  assert.deepEqual(await axeViolations(frame), []);
  await bench.screenshot('measured-light');
  await bench.theme('dark');
});

test('a trial with GPTQ stands in the Trials view with what the model lost', async () => {
  await bench.openFile('model.py');
  await bench.command('Bitlens: Run PTQ Trial', 'One format for all layers');
  await bench.pick('int4-sym-g128');
  await bench.pick('gptq');
  await bench.pick('Measure only');
  assert.match(await bench.notification(/KL 0\.\d+/), /accuracy \d+\.\d+ % → \d+\.\d+ %/);
  await bench.screenshot('trial-gptq-dark');
});

test('a trial with a transform, rounded activations and a correction says what each did', async () => {
  await bench.command('Notifications: Clear All Notifications');
  await bench.openFile('model.py');
  await bench.command('Bitlens: Run PTQ Trial', 'Transforms and activations');
  await bench.pick('int4-sym-g128');
  await bench.pick('rtn');
  await bench.pickMany('smoothquant-plus', 'bias-correction');
  await bench.pick('int8-sym-channel');
  await bench.pick('Measure only');
  assert.match(await bench.notification(/KL 0\.\d+/), /rtn, smoothquant-plus, activations int8-sym-channel, bias-correction: \d+ layers/);
  await bench.screenshot('trial-steps-dark');
});
