/** Commands that run the model on the data of bitlens.json: evaluate, measure sensitivity, trials that calibrate. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { AllocationSummary, EvaluateResult, QuantizeLayerSummary, SensitivityResult, TrialSummary } from '../../server/protocol';
import { eventually, modelFile, openModel, readText, run, test, testing, workspaceFile } from './harness';

test('Evaluate Model on Data gives the perplexity of the example', async () => {
  await openModel();
  const { metric, value, samples } = await run<EvaluateResult>('evaluate', { samples: 16 });
  assert.deepEqual([metric, samples], ['perplexity', 16]);
  assert.ok(value > 4 && value < 8, `${value}`);
});

test('Measure Layer Sensitivity shows in the hover of a layer and in the report', async () => {
  await openModel();
  const { layers, metric } = await run<SensitivityResult>('measureSensitivity', { metric: 'kl', samples: 4 });
  assert.deepEqual([layers.length, metric], [18, 'kl']);
  const line = readText(modelFile()).split('\n').findIndex((text) => text.includes('self.qkv = nn.Linear'));
  const shown = await eventually('the hover', async () => {
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', modelFile(), new vscode.Position(line, 15));
    const text = hovers.flatMap((hover) => hover.contents.map((content) => (typeof content === 'string' ? content : content.value))).join('\n');
    return /measured on 4 samples/.test(text) ? text : undefined;
  });
  assert.match(shown, /largest of 4 layers/);
});

test('a trial that calibrates says what the model lost, and stands beside earlier ones', async () => {
  await openModel();
  const plain = await run<TrialSummary>('runTrial', { format: 'int3-sym-g64', method: 'rtn', ask: false });
  const gptq = await run<TrialSummary>('runTrial', { format: 'int3-sym-g64', method: 'gptq', ask: false });
  assert.ok(gptq.judged!.after.kl! < 0.5 * plain.judged!.after.kl!, `${gptq.judged!.after.kl} against ${plain.judged!.after.kl}`);
  const node = testing().trials.getChildren().find((each) => each.kind === 'trial' && each.id === gptq.id);
  assert.match(String(testing().trials.getTreeItem(node!).description), /^accuracy \d\d\.\d\d % · 3\.50 bits/);
  await run('showTrial', { id: gptq.id });
  const document = await eventually('the trial as a document', () => Promise.resolve(vscode.workspace.textDocuments.find(({ uri }) => uri.scheme === 'bitlens-trial' && uri.path.includes(encodeURIComponent(gptq.id)))));
  assert.match(document.getText(), /## Beside earlier trials of this model/);
});

test('Quantize Layer with a method that calibrates judges the whole model', async () => {
  await openModel();
  const result = await run<QuantizeLayerSummary>('quantizeLayer', { path: 'blocks.0.mlp.up', format: 'int3-sym-g64', method: 'gptq' });
  assert.ok(result.judged!.after.kl! > 0 && result.judged!.after.kl! < 0.1);
  assert.match(result.evidence, /calibrated on 64 samples/);
});

test('Suggest Bit Allocation by the output of the model judges the recipe beside others', async () => {
  await openModel();
  const result = await run<AllocationSummary>('suggestAllocation', { bits: 4, metric: 'kl', samples: 8, out: workspaceFile('measured.recipe.json').fsPath });
  const [own, ...rivals] = result.judgement!.recipes;
  for (const rival of rivals) assert.ok(rival.kl! > own!.kl!, rival.title);
});
