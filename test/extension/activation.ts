/** What there is once a Python file is opened. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { BitlensApi } from '../../extension/api';
import { eventually, extension, figures, openModel, test, testing } from './harness';

interface Manifest { readonly contributes: { readonly commands: readonly { readonly command: string }[]; readonly views: Record<string, readonly { readonly id: string }[]> } }

test('a Python file activates the extension and starts the server', async () => {
  const cold = !extension().isActive;
  const begun = performance.now();
  const before = process.cpuUsage();
  if (cold) await extension().activate();
  figures.activationMs = cold ? performance.now() - begun : testing().activationMs;
  const used = process.cpuUsage(before);
  console.log(`# activation took ${figures.activationMs.toFixed(0)} ms${cold ? ', loading included' : ' (loading not included: it was active already)'}; activate() itself ${testing().activationMs.toFixed(1)} ms; processor time of the whole host meanwhile ${((used.user + used.system) / 1000).toFixed(0)} ms`);
  await openModel();
  await eventually('the server', () => testing().context.server.state === 'running');
});

test('every contributed command is registered', async () => {
  const registered = new Set(await vscode.commands.getCommands(true));
  const manifest = extension().packageJSON as Manifest;
  assert.deepEqual(manifest.contributes.commands.map(({ command }) => command).filter((command) => !registered.has(command)), []);
  for (const { id } of manifest.contributes.views.bitlens!) assert.ok(registered.has(`${id}.focus`), `${id} can be focused`);
});

test('the API answers for version 1 only', async () => {
  const api: BitlensApi = extension().exports.getApi(1);
  assert.equal(api.version, 1);
  assert.throws(() => extension().exports.getApi(2 as 1), /version 1/);
});
