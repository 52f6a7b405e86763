/** Settings, bitlens.json and what people copy into bug reports. */
import assert from 'node:assert/strict';
import os from 'node:os';
import * as vscode from 'vscode';
import { readSettings } from '../../extension/config';
import { DEFAULT_SETTINGS } from '../../server/protocol';
import { codeOf, eventually, findings, modelFile, openModel, ours, readText, run, test, testing, workspaceFile } from './harness';

const section = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration('bitlens');

test('a rule that is switched off disappears, and returns', async () => {
  await openModel();
  const code = codeOf((await findings())[0]!);
  await run('setSeverity', { code, severity: 'off' });
  try {
    await eventually(`${code} to go`, () => !ours().some((one) => codeOf(one) === code));
  } finally {
    await section().update('rules', undefined, vscode.ConfigurationTarget.Workspace);
  }
  await eventually(`${code} to return`, () => ours().some((one) => codeOf(one) === code));
});

test('a rule can be made an error', async () => {
  await openModel();
  const code = codeOf((await findings())[0]!);
  await run('setSeverity', { code, severity: 'error' });
  try {
    await eventually(`${code} as an error`, () => ours().some((one) => codeOf(one) === code && one.severity === vscode.DiagnosticSeverity.Error));
  } finally {
    await section().update('rules', undefined, vscode.ConfigurationTarget.Workspace);
  }
});

test('a code that is none is refused', async () => {
  for (const code of ['../../secret', 'BL1', 'bl101 ']) await assert.rejects(run('openDocumentation', { code }), /not the code/);
});

test('settings of the wrong type are brought into shape', async () => {
  const broken: Record<string, unknown> = { formats: 'int4', minimumSqnrDb: 'twenty', threads: -3, rules: { BL101: 'loud', BL102: 'off' } };
  for (const [key, value] of Object.entries(broken)) await section().update(key, value, vscode.ConfigurationTarget.Global);
  try {
    const settings = readSettings(modelFile());
    assert.ok(settings.formats.length > 1 && settings.minimumSqnrDb === DEFAULT_SETTINGS.minimumSqnrDb && settings.threads === 0);
    assert.deepEqual({ ...settings.rules }, { BL102: 'off' });
  } finally {
    for (const key of Object.keys(broken)) await section().update(key, undefined, vscode.ConfigurationTarget.Global);
  }
});

test('a relative checkpoint setting is relative to the folder', async () => {
  await section().update('checkpoint', 'weights.safetensors', vscode.ConfigurationTarget.Workspace);
  try {
    assert.equal(readSettings(modelFile()).checkpoint, workspaceFile('weights.safetensors').fsPath);
  } finally {
    await section().update('checkpoint', undefined, vscode.ConfigurationTarget.Workspace);
  }
});

test('Choose Checkpoint and Choose Model Class write bitlens.json and keep the rest of it', async () => {
  await openModel();
  const file = workspaceFile('bitlens.json');
  const before = JSON.parse(readText(file)) as { models: Record<string, unknown>[] };
  await run('chooseCheckpoint', { checkpoint: workspaceFile('weights.safetensors').fsPath });
  await run('chooseClass', { class: 'GPT' });
  const after = JSON.parse(readText(file)) as { models: Record<string, unknown>[] };
  assert.deepEqual(after, before);
  await run('chooseClass', { class: 'Block' });
  assert.equal((JSON.parse(readText(file)) as typeof before).models[0]!.class, 'Block');
  await eventually('the model of the other class', async () => { await testing().context.models.refresh(); return testing().context.models.summary?.root === 'Block'; });
  await run('chooseClass', { class: 'GPT' });
  await eventually('the model of the first class', async () => { await testing().context.models.refresh(); return testing().context.models.summary?.root === 'GPT'; });
});

test('Name Data… writes synthetic data where there is none', async () => {
  await openModel();
  const file = workspaceFile('bitlens.json');
  const good = readText(file);
  try {
    assert.equal(await run('nameData', { use: 'calibration', task: 'language-model', synthetic: 'auto' }), file.fsPath);
    const { models: [entry] } = JSON.parse(readText(file)) as { models: { data: Record<string, unknown> }[] };
    assert.deepEqual(entry!.data, { ...(JSON.parse(good) as { models: { data: Record<string, unknown> }[] }).models[0]!.data, calibration: { synthetic: 'auto' } });
  } finally {
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(good));
  }
});

test('a bitlens.json that is not JSON is left alone', async () => {
  const file = workspaceFile('bitlens.json');
  const good = readText(file);
  await vscode.workspace.fs.writeFile(file, new TextEncoder().encode('{ "models": [ '));
  try {
    await eventually('the document on disk', async () => (await vscode.workspace.openTextDocument(file)).getText() === '{ "models": [ ');
    await assert.rejects(run('chooseClass', { class: 'GPT' }), /left as it is/);
    assert.equal(readText(file), '{ "models": [ ');
  } finally {
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(good));
  }
});

test('Copy Debug Information names versions and states, and nobody', async () => {
  const text = await run<string>('copyDebugInformation');
  assert.match(text, /Bitlens: \d+\.\d+\.\d+/);
  assert.match(text, /Server: running/);
  assert.ok(!text.includes(modelFile().fsPath) && !text.includes(os.hostname()) && !text.includes('blocks.'));
});
