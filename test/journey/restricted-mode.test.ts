/** A workspace nobody has trusted yet: reading works, nothing is run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test, { after, before } from 'node:test';
import { Workbench } from './workbench';

let bench: Workbench;
before(async () => { bench = await Workbench.open({ trust: false, settings: { 'security.workspace.trust.startupPrompt': 'never' } }); });
after(async () => { await bench?.close(); });

test('a checkpoint still opens and no kernel process is started', async () => {
  const frame = await bench.openPage(() => bench.openFile('weights.safetensors'), 'table.data');
  assert.ok((await frame.locator('table.data tbody tr').count()) > 30);
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => /dist\/kernel\.js/.test(line) && line.includes('bitlens-profile'));
  assert.deepEqual(processes, []);
});

test('a trial explains that it needs trust', async () => {
  await bench.openFile('model.py');
  await bench.command('Bitlens: Run PTQ Trial').catch(() => undefined);
  // The command is either not offered or says why it does not run.
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => /dist\/kernel\.js/.test(line) && line.includes('bitlens-profile'));
  assert.deepEqual(processes, []);
});
