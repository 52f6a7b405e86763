/** Settings over the protocol: switched off, per resource, nonsense, and formats that do not exist. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CAPABILITIES, start } from './harness';
import { MODEL, ENTRIES, SETTINGS, model, of } from './model';
import { safetensors } from './safetensors';

test('settings: switched off, severities, and asked per resource', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  const { client } = await start(t, files.folder, { settings: { ...SETTINGS, inlayHints: false, codeLens: false, rules: { BL401: 'error' } } });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  assert.equal(of('BL401', await client.diagnostics(uri))[0]!.severity, 1);
  await client.refreshed();
  assert.deepEqual(await client.hints(uri), []);
  assert.deepEqual(await client.lenses(uri), []);
  await client.rpc.sendNotification('workspace/didChangeConfiguration', { settings: { bitlens: { ...SETTINGS, rules: { BL401: 'off' } } } });
  await client.refreshed();
  assert.deepEqual(of('BL401', await client.diagnostics(uri)), []);
});

test('settings of a resource are those that the client gives for it', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  files.write('other/model.py', MODEL);
  files.write('other/weights.safetensors', safetensors(ENTRIES.slice(0, -1)));
  const { client } = await start(t, files.folder, { capabilities: { ...CAPABILITIES, workspace: { ...CAPABILITIES.workspace, configuration: true } } });
  client.rpc.onRequest('workspace/configuration', ({ items }: { items: { scopeUri?: string }[] }) =>
    items.map(({ scopeUri }) => ({ ...SETTINGS, rules: { BL401: scopeUri?.includes('/other/') ? 'hint' : 'error' } })));
  for (const [name, severity] of [['model.py', 1], ['other/model.py', 4]] as const) {
    await client.open(files.uri(name), MODEL);
    assert.equal(of('BL401', await client.diagnostics(files.uri(name)))[0]!.severity, severity, name);
  }
});

test('settings that are nonsense fall back to the defaults', async (t) => {
  const files = model(t);
  const { client } = await start(t, files.folder, { settings: { targetFormat: 7, formats: 'all', minimumSqnrDb: 'high', rules: [1], kurtosis: null, memoryMb: -5 } });
  await client.open(files.uri('model.py'), MODEL);
  assert.ok(Array.isArray(await client.diagnostics(files.uri('model.py'))));
});

test('a format that does not exist in the settings is said once, not measured for ever', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: { ...SETTINGS, formats: ['int44'] } });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.until('an error', () => client.statuses.some(({ state, message }) => state === 'error' && message.includes('int44')));
  assert.equal(kernel.asked.length, 0);
});
