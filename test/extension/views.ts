/** The native trees, asked as VS Code asks them. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { LayerNode } from '../../extension/views/layer-nodes';
import { eventually, modelFile, openModel, run, target, test, testing } from './harness';

function* walk(nodes: readonly LayerNode[]): Generator<LayerNode> {
  for (const node of nodes) {
    yield node;
    yield* walk(testing().layers.getChildren(node));
  }
}

async function measured(): Promise<LayerNode> {
  await openModel();
  return eventually('a measured layer in the tree', () => [...walk(testing().layers.getChildren())].find((node) => node.row?.sqnrDb !== null && node.row?.sqnrDb !== undefined));
}

test('the Layers view is the tree of modules, with bits, size and SQNR', async () => {
  const node = await measured();
  const item = testing().layers.getTreeItem(node);
  assert.match(String(item.description), /bits · .+B · .+ dB/);
  assert.match(item.contextValue ?? '', /\bquantizable\b/);
  assert.ok(item.accessibilityInformation?.label.includes(node.path));
  assert.equal(testing().layers.getParent(node)?.path ?? '', node.path.split('.').slice(0, -1).join('.'));
});

test('ids in the Layers view are unique and paths lead to their parents', async () => {
  await measured();
  const nodes = [...walk(testing().layers.getChildren())];
  const ids = nodes.map((node) => testing().layers.getTreeItem(node).id);
  assert.equal(new Set(ids).size, ids.length);
  const paths = nodes.map(({ path }) => path);
  for (const path of ['blocks.0.attn.qkv', 'blocks.3.mlp.down']) assert.ok(paths.includes(path), `${path} is among ${paths.length} nodes`);
});

test('a tooltip is not trusted markup', async () => {
  const node = await measured();
  const item = testing().layers.resolveTreeItem(testing().layers.getTreeItem(node), node);
  assert.ok(item.tooltip instanceof vscode.MarkdownString);
  assert.ok(!item.tooltip.isTrusted && !item.tooltip.supportHtml);
  assert.match(item.tooltip.value, /SQNR/);
});

test('a layer leads to its source line', async () => {
  const node = await measured();
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  await run('revealLayer', { path: node.path });
  const editor = await eventually('the editor', () => vscode.window.activeTextEditor);
  assert.equal(editor.document.uri.toString(), vscode.Uri.parse(node.row!.uri).toString());
  assert.equal(editor.selection.start.line, node.row!.range.start.line);
});

test('a layer that is gone is said to be gone', async () => {
  await openModel();
  await assert.rejects(run('revealLayer', { path: 'no.such.layer' }), /no longer a layer/);
});

test('another kind of tab leaves the views as they are', async () => {
  await measured();
  await vscode.commands.executeCommand('bitlens.showLogs');
  await vscode.commands.executeCommand('workbench.action.focusSideBar');
  assert.equal(testing().context.models.currentTarget?.uri, target().uri);
  assert.equal(vscode.Uri.parse(testing().context.models.summary!.target.uri).toString(), modelFile().toString());
});
