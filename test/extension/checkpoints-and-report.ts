/** The two webviews and what is exported from them. What the pages draw is tested by the journeys. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import * as vscode from 'vscode';
import type { ReportData } from '../../server/protocol';
import { shellHtml, webviewOptions } from '../../extension/webview-shell';
import { eventually, openModel, readText, run, tabs, target, test, testing, workspaceFile } from './harness';

const reportTab = (): vscode.Tab | undefined => tabs().find(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith('bitlens.report'));
const customTab = (uri: vscode.Uri): vscode.Tab | undefined => tabs().find(({ input }) => input instanceof vscode.TabInputCustom && input.uri.fsPath === uri.fsPath);

test('a safetensors file opens in the checkpoint editor by default', async () => {
  const uri = workspaceFile('weights.safetensors');
  await vscode.commands.executeCommand('vscode.open', uri);
  const tab = await eventually('the checkpoint editor', () => customTab(uri));
  assert.equal((tab.input as vscode.TabInputCustom).viewType, 'bitlens.checkpoint');
  await vscode.window.tabGroups.close(tab);
});

test('Inspect Checkpoint opens other files on request, damaged ones too', async () => {
  const uri = workspaceFile('damaged.pt');
  writeFileSync(uri.fsPath, 'not a checkpoint');
  await run('inspectCheckpoint', { path: uri.fsPath });
  const tab = await eventually('the checkpoint editor', () => customTab(uri));
  assert.equal((tab.input as vscode.TabInputCustom).viewType, 'bitlens.checkpointOption');
  await assert.rejects(testing().context.server.request('bitlens/inspect', { path: uri.fsPath }), (error: Error) => error.message.length > 10);
  await vscode.window.tabGroups.close(tab);
});

test('the server inspects the example and measures one tensor of it', async () => {
  const { path } = { path: workspaceFile('weights.safetensors').fsPath };
  const summary = await testing().context.server.request('bitlens/inspect', { path });
  assert.equal(summary.tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0), summary.parameters);
  const tensor = await testing().context.server.request('bitlens/tensorDetail', { path, tensor: 'blocks.0.attn.qkv.weight' });
  assert.equal(tensor.detail.histogram.counts.reduce((sum, count) => sum + count, 0), tensor.statistics.count);
});

test('the report opens once per model', async () => {
  await openModel();
  await run('showReport');
  await run('showReport', { path: 'blocks.0.mlp.up' });
  const tab = await eventually('the report', reportTab);
  assert.match(tab.label, /model\.py/);
  assert.equal(testing().reports.size, 1);
  await eventually('the page to ask for its data and to get it', () => testing().reports.filled === 1);
  await vscode.window.tabGroups.close(tab);
  await eventually('the report to be forgotten', () => testing().reports.size === 0);
});

test('a page runs only scripts of its own load, and holds no data', () => {
  const { extensionUri } = testing().context.extension;
  const panel = vscode.window.createWebviewPanel('bitlens.test', 'test', vscode.ViewColumn.One, webviewOptions(extensionUri));
  try {
    const [first, second] = [0, 1].map(() => shellHtml(panel.webview, extensionUri, 'report', '<b>"title"</b>'));
    const nonce = /script-src 'nonce-([A-Za-z0-9+/=]{20,})';/.exec(first!)![1]!;
    assert.match(first!, /default-src 'none'; style-src [^;]+; script-src 'nonce-[^']+'; img-src [^;]+ data:; font-src /);
    assert.doesNotMatch(first!, /unsafe|https?:\/\/(?!.*vscode)[^ ;"]*\.js/);
    assert.ok(!second!.includes(nonce), 'another load has another nonce');
    assert.deepEqual([...first!.matchAll(/<script([^>]*)>([^<]*)</g)].map((match) => [match[1]!.includes(nonce), match[2]]), [[true, '']]);
    assert.match(first!, /<html lang="en">/);
    assert.match(first!, /<title>&lt;b&gt;&quot;title&quot;&lt;\/b&gt;<\/title>/);
    assert.ok(webviewOptions(extensionUri).localResourceRoots!.every((root) => root.path.endsWith('/dist')));
  } finally {
    panel.dispose();
  }
  return Promise.resolve();
});

test('a report comes back after the window was reloaded, and an unknown one is closed', async () => {
  await openModel();
  await run('showReport');
  const tab = await eventually('the report', reportTab);
  const title = tab.label;
  await vscode.window.tabGroups.close(tab);
  await eventually('the report to be closed', () => testing().reports.size === 0);
  const again = vscode.window.createWebviewPanel('bitlens.report', title, vscode.ViewColumn.Two, {});
  await testing().reports.deserializeWebviewPanel(again);
  await eventually('the page to get its data', () => testing().reports.filled === 1);
  again.dispose();
  let closed = false;
  const unknown = vscode.window.createWebviewPanel('bitlens.report', 'Sensitivity: never.py', vscode.ViewColumn.Two, {});
  unknown.onDidDispose(() => { closed = true; });
  await testing().reports.deserializeWebviewPanel(unknown);
  assert.ok(closed);
});

test('the report exports as CSV with a row per layer', async () => {
  const out = workspaceFile('report.csv');
  await run('exportReport', { kind: 'csv', out: out.fsPath });
  const report = await testing().context.server.request('bitlens/report', target());
  const lines = readText(out).trimEnd().split('\r\n');
  assert.equal(lines.length, report.layers.length + 1);
  for (const { id } of report.formats) assert.ok(lines[0]!.includes(`${id} sqnrDb`));
});

test('the report exports as JSON with every histogram', async () => {
  const out = workspaceFile('report.json');
  await run('exportReport', { kind: 'json', out: out.fsPath });
  const report = JSON.parse(readText(out)) as ReportData;
  assert.ok(report.layers.length > 10);
  for (const layer of report.layers) assert.ok(layer.detail!.histogram.counts.length > 0, layer.path);
});

test('the report exports as one HTML file that asks nothing of the network', async () => {
  const out = workspaceFile('report.html');
  await run('exportReport', { kind: 'html', out: out.fsPath });
  const html = readText(out);
  assert.match(html, /bitlens-data/);
  assert.doesNotMatch(html, /(src|href)="https?:/);
});
