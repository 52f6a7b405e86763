/** The server is restarted, dies, or is not there: the editor goes on and says so. Runs last. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { eventually, findings, openModel, ours, run, test, testing } from './harness';

const server = (): ReturnType<typeof testing>['context']['server'] => testing().context.server;

test('Restart Server: findings go with the old server and come with the new', async () => {
  await openModel();
  await findings();
  const before = server().pid;
  await run('restartServer');
  assert.equal(server().state, 'running');
  assert.notEqual(server().pid, before);
  await findings();
});

test('Restart Kernel answers', async () => {
  await run('restartKernel');
});

test('a server that is killed comes back by itself', async () => {
  await openModel();
  const before = server().pid!;
  process.kill(before, 'SIGKILL');
  await eventually('another server', () => server().state === 'running' && server().pid !== undefined && server().pid !== before);
  await findings();
});

test('without a server every command says so, and no stale result stays', async () => {
  await openModel();
  await findings();
  await server().stop();
  try {
    await eventually('no findings', () => ours().length === 0);
    assert.deepEqual(testing().layers.getChildren(), []);
    await assert.rejects(run('quantizeLayer', { path: 'blocks.0.mlp.up', format: 'int4', method: 'rtn' }), /not running/);
    await assert.rejects(run('exportReport', { kind: 'csv', out: 'never' }), /not running/);
    await assert.rejects(run('refreshLayers'), /not running/);
    assert.match(await run<string>('copyDebugInformation'), /Server: stopped/);
    await vscode.commands.executeCommand('bitlens.showLogs');
  } finally {
    await run('restartServer');
  }
  await findings();
});

test('documents that are no models are no trouble', async () => {
  const samples = ['', 'x = 1\n', 'class Broken(nn.Module:\n  def', `import torch.nn as nn\nclass N(nn.Module):\n  def __init__(self):\n    self.x = ${'('.repeat(2000)}\n`];
  for (const content of samples) {
    const document = await vscode.workspace.openTextDocument({ language: 'python', content });
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand('vscode.executeHoverProvider', document.uri, new vscode.Position(0, 0));
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
  }
  await openModel();
  await findings();
  assert.equal(server().state, 'running');
});
