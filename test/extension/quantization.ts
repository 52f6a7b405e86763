/** Quantize a layer, allocate bits, run trials: the commands with all answers given, as lenses and the report call them. */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import * as vscode from 'vscode';
import type { AllocationSummary, QuantizeLayerSummary, Recipe, TrialSummary } from '../../server/protocol';
import { eventually, modelFile, openModel, readText, run, tabs, test, testing, workspaceFile } from './harness';

test('Quantize Layer measures one layer and puts it into the Trials view', async () => {
  await openModel();
  const result = await run<QuantizeLayerSummary>('quantizeLayer', { path: 'blocks.0.mlp.up', format: 'int4-sym-g128', method: 'mse-clip' });
  assert.equal(result.path, 'blocks.0.mlp.up');
  assert.ok(result.after.mse <= result.before.mse, 'a search for the clipping never does worse than no clipping');
  assert.ok(result.after.bytes < result.bytesBefore);
  const [newest] = testing().trials.getChildren();
  assert.ok(newest?.kind === 'trial');
  assert.match(testing().trials.getTreeItem(newest).label as string, /blocks\.0\.mlp\.up/);
  const layers = testing().trials.getChildren(newest).filter(({ kind }) => kind === 'layer');
  assert.equal(layers.length, 1);
  assert.match(String(testing().trials.getTreeItem(layers[0]!).description), /dB → .+ dB/);
});

test('Quantize Layer refuses a format that does not exist, in words', async () => {
  await openModel();
  await assert.rejects(run('quantizeLayer', { path: 'blocks.0.mlp.up', format: 'int99-sym-tensor', method: 'rtn' }), /int99-sym-tensor/);
});

test('Suggest Bit Allocation writes a recipe within the budget and opens it', async () => {
  await openModel();
  const out = workspaceFile('model.recipe.json');
  const result = await run<AllocationSummary>('suggestAllocation', { bits: 4.5, out: out.fsPath });
  assert.ok(result.averageBits <= 4.5 + 1e-9, `${result.averageBits} bits`);
  const recipe = JSON.parse(readText(out)) as Recipe;
  assert.equal(recipe.version, 1);
  assert.ok(Object.keys(recipe.layers).length > 0);
  assert.equal(vscode.window.activeTextEditor?.document.uri.fsPath, out.fsPath);
  if (result.uniform) assert.ok(result.objective <= result.uniform.objective * (1 + 1e-9), 'never worse than one format for all layers');
});

test('Suggest Bit Allocation explains a budget that nothing fits', async () => {
  await openModel();
  await assert.rejects(run('suggestAllocation', { bytes: 10, out: workspaceFile('never.recipe.json').fsPath }), (error: Error) => error.message.length > 20);
  assert.ok(!existsSync(workspaceFile('never.recipe.json').fsPath));
});

test('Run PTQ Trial on a recipe file finds its model and keeps the trial', async () => {
  const recipe = workspaceFile('model.recipe.json');
  await vscode.window.showTextDocument(recipe);
  const result = await run<TrialSummary>('runTrial', { recipe: recipe.fsPath, ask: false });
  assert.ok(result.layers.length > 10);
  const stored = testing().context.trials.find(result.id);
  assert.equal(stored?.recipe, recipe.fsPath);
});

test('a trial that exports says how many tensors it verified, and the file opens', async () => {
  await openModel();
  const out = workspaceFile('quantized.safetensors');
  const result = await run<TrialSummary>('runTrial', { format: 'int8-sym-channel', method: 'rtn', out: out.fsPath });
  assert.equal(result.export?.bytes, statSync(out.fsPath).size);
  assert.ok(result.export.verifiedTensors > 0);
  await run('revealTrialExport', { id: result.id });
  await eventually('the exported checkpoint', () => tabs().some(({ input }) => input instanceof vscode.TabInputCustom && input.uri.fsPath === out.fsPath));
});

test('a trial reads as a document', async () => {
  const trial = testing().context.trials.all[0]!;
  const document = await vscode.workspace.openTextDocument(vscode.Uri.from({ scheme: 'bitlens-trial', path: `/${trial.summary.id}/Trial.md` }));
  assert.match(document.getText(), /SHA-256/);
  assert.equal(document.getText().split('\n').filter((line) => /^\| blocks.* dB \|/.test(line)).length, trial.summary.layers.filter(({ path }) => path.startsWith('blocks')).length);
});

test('a trial can be removed from the list', async () => {
  const { id } = testing().context.trials.all[0]!.summary;
  await run('deleteTrial', { id });
  assert.equal(testing().context.trials.find(id), undefined);
  await assert.rejects(run('showTrial', { id }), /no longer in the list/);
});

test('an unsaved document is told to be saved first', async () => {
  const untitled = await vscode.workspace.openTextDocument({ language: 'python', content: 'import torch.nn as nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(4, 2)\n' });
  await assert.rejects(run('quantizeLayer', { uri: untitled.uri.toString(), path: 'fc', format: 'int4', method: 'rtn' }), /Save the model file/);
  await vscode.window.showTextDocument(modelFile());
});
