/** Findings, hovers, lenses, hints and code actions, as the editor gets them. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { codeOf, eventually, findings, modelFile, openModel, test } from './harness';

/** Position inside the first occurrence of a text. */
function positionOf(document: vscode.TextDocument, text: string): vscode.Position {
  const offset = document.getText().indexOf(text);
  assert.ok(offset >= 0, `${text} is in ${document.fileName}`);
  return document.positionAt(offset + text.length - 1);
}

test('findings stand on the lines of the source, with code and documentation', async () => {
  const { document } = await openModel();
  for (const finding of await findings()) {
    assert.match(codeOf(finding), /^BL\d{3}$/);
    assert.ok(document.validateRange(finding.range).isEqual(finding.range), `${codeOf(finding)} lies inside the document`);
    assert.ok(finding.message.length > 10);
  }
});

test('a layer that loses too much carries its measured SQNR', async () => {
  await openModel();
  const finding = await eventually('BL101', async () => (await findings()).find((one) => codeOf(one) === 'BL101'));
  assert.match(finding.message, /dB/);
});

test('a hover on a layer is a table of formats that names its evidence', async () => {
  const { document } = await openModel();
  const position = positionOf(document, 'self.qkv = nn.Linear');
  const text = await eventually('a hover with SQNR', async () => {
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', document.uri, position);
    const contents = hovers.flatMap(({ contents }) => contents).map((content) => typeof content === 'string' ? content : content.value);
    return contents.find((content) => /SQNR/.test(content));
  });
  assert.match(text, /int4-sym-g128/);
  // Markdown may escape the dot.
  assert.match(text.replaceAll('\\', ''), /weights\.safetensors/);
});

test('a lens above the model class runs commands that exist', async () => {
  const { document } = await openModel();
  const lenses = await eventually('a lens', async () => {
    const found = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', document.uri, 20);
    return found.some(({ command }) => command?.command.startsWith('bitlens.')) && found;
  });
  const registered = new Set(await vscode.commands.getCommands(true));
  for (const { command } of lenses) if (command?.command.startsWith('bitlens.')) assert.ok(registered.has(command.command), command.command);
});

test('inlay hints show bits and size', async () => {
  const { document } = await openModel();
  const everything = new vscode.Range(0, 0, document.lineCount, 0);
  const hints = await eventually('an inlay hint', async () => {
    const found = await vscode.commands.executeCommand<vscode.InlayHint[]>('vscode.executeInlayHintProvider', document.uri, everything);
    return found.length > 0 && found;
  });
  const labels = hints.map(({ label }) => typeof label === 'string' ? label : label.map(({ value }) => value).join(''));
  assert.ok(labels.some((label) => /bit|B\b/.test(label)), labels.join(' | '));
});

test('a finding offers code actions: silence the line, and commands that exist', async () => {
  await openModel();
  const finding = (await findings()).find((one) => codeOf(one) === 'BL101') ?? (await findings())[0]!;
  const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>('vscode.executeCodeActionProvider', modelFile(), finding.range);
  const edits = actions.filter(({ edit }) => edit?.has(modelFile()));
  assert.ok(edits.some(({ edit }) => edit!.get(modelFile()).some(({ newText }) => newText.includes(`bitlens: ignore[${codeOf(finding)}]`))), actions.map(({ title }) => title).join(' | '));
  const registered = new Set(await vscode.commands.getCommands(true));
  for (const { command } of actions) if (command?.command.startsWith('bitlens.')) assert.ok(registered.has(command.command), command.command);
});

test('typing is answered: a finding on a silenced line goes, and comes back', async () => {
  const editor = await openModel();
  const finding = (await findings()).find((one) => codeOf(one) === 'BL101') ?? (await findings())[0]!;
  const code = codeOf(finding);
  const line = finding.range.start.line;
  const before = editor.document.lineAt(line).range.end;
  const onLine = (): boolean => vscode.languages.getDiagnostics(modelFile()).some((one) => codeOf(one) === code && one.range.start.line === line);
  await editor.edit((edit) => edit.insert(before, `  # bitlens: ignore[${code}]`));
  await eventually('the finding to go', () => !onLine());
  await editor.edit((edit) => edit.delete(new vscode.Range(before, editor.document.lineAt(line).range.end)));
  await eventually('the finding to come back', () => onLine());
  await editor.document.save();
});
