/** `bitlens check`: findings, suppression comments, exit codes, SARIF. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Ajv } from 'ajv';
import { repositoryRoot } from '../support/data';
import { bitlens, folder, json, MODEL, project, WEIGHTS, writeWeights } from './run';

interface CheckDocument {
  findings: { code: string; severity: string; message: string; file: string; line: number; column: number; layer?: string }[];
  suppressed: number;
  models: { source: string; root: string; checkpoint: string | null; measured: number }[];
}
const lossy = ['--target-format', 'int2-sym-tensor', '--minimum-sqnr', '60'];

test('findings sit on the line that constructs the layer and fail the check by severity', async (t) => {
  const { model, weights } = project(t);
  const outcome = await bitlens(['check', model, '--checkpoint', weights, ...lossy, '--json']);
  assert.equal(outcome.code, 0, `${outcome.stderr}: no finding is an error`);
  const document = json<CheckDocument>(outcome);
  assert.deepEqual(document.models.map(({ root, measured }) => [root, measured]), [['Net', 3]]);
  const low = document.findings.filter(({ code }) => code === 'BL101');
  assert.ok(low.some(({ line, file }) => line === 7 && file === model), JSON.stringify(low));
  assert.equal((await bitlens(['check', model, '--checkpoint', weights, ...lossy, '--fail-on', 'info'])).code, 1);
  const text = await bitlens(['check', model, '--checkpoint', weights, ...lossy], { cwd: path.dirname(model) });
  assert.match(text.stdout, /^model\.py:7:\d+: \w+ BL101: /m);
  assert.match(text.stdout, /in 1 model/);
});

test('a mistake between code and checkpoint fails the check', async (t) => {
  const { root, model } = project(t);
  const other = writeWeights(path.join(root, 'other.safetensors'), WEIGHTS.map(([name, shape]) => (name.endsWith('blocks.1.fc.weight') ? [name, [32, 16]] as const : [name, shape] as const)));
  const outcome = await bitlens(['check', model, '--checkpoint', other, '--fail-on', 'warning', '--json']);
  assert.equal(outcome.code, 1, outcome.stderr);
  assert.ok(json<CheckDocument>(outcome).findings.some(({ code, line }) => code === 'BL403' && line === 7));
});

test('comments silence findings; wrong codes in them are pointed at', async (t) => {
  const { root, weights } = project(t);
  const model = path.join(root, 'model.py');
  writeFileSync(model, MODEL.replace('self.fc = nn.Linear(dim, dim)', 'self.fc = nn.Linear(dim, dim)  # bitlens: ignore[BL101, BL999]'));
  const document = json<CheckDocument>(await bitlens(['check', model, '--checkpoint', weights, ...lossy, '--json']));
  assert.ok(!document.findings.some(({ code, line }) => code === 'BL101' && line === 7));
  assert.ok(document.suppressed > 0);
  assert.ok(document.findings.some(({ code, line, message }) => code === 'BL502' && line === 7 && message.includes('BL999')));
});

test('where forward cannot be followed, the line is reported', async (t) => {
  const { model, weights } = project(t);
  const forward = '\n    def forward(self, idx):\n        x = self.embed(idx)\n        x = torch.pca_lowrank(x)\n        return self.head(x)\n';
  writeFileSync(model, `import torch\n${MODEL}${forward}`);
  const document = json<CheckDocument>(await bitlens(['check', model, '--checkpoint', weights, '--no-measure', '--json']));
  const line = readFileSync(model, 'utf8').split('\n').findIndex((text) => text.includes('pca_lowrank')) + 1;
  assert.deepEqual(document.findings.filter(({ code }) => code === 'BL503').map((finding) => [finding.line, finding.severity]), [[line, 'information']]);
  assert.match(document.findings.find(({ code }) => code === 'BL503')!.message, /torch\.pca_lowrank/);
  writeFileSync(model, `import torch\n${MODEL}${forward.replace('torch.pca_lowrank(x)', 'torch.relu(x)')}`);
  assert.deepEqual(json<CheckDocument>(await bitlens(['check', model, '--checkpoint', weights, '--no-measure', '--json'])).findings.filter(({ code }) => code === 'BL503'), []);
});

interface Sarif {
  $schema: string; version: string;
  runs: {
    tool: { driver: { name: string; version: string; rules: { id: string; shortDescription: { text: string }; help: { text: string; markdown: string }; defaultConfiguration: { level?: string } }[] } };
    columnKind: string; originalUriBaseIds: { SRCROOT: { uri: string } };
    results: { ruleId: string; ruleIndex: number; level: string; message: { text: string }; suppressions?: { kind: string }[]; partialFingerprints: Record<string, string>;
      locations: { physicalLocation: { artifactLocation: { uri: string; uriBaseId?: string }; region: { startLine: number; startColumn: number; endLine: number; endColumn: number } } }[] }[];
  }[];
}

/** What the JSON schema of SARIF 2.1.0 finds wrong. */
function sarifViolations(log: object): string[] {
  const { $schema: _, id: __, ...schema } = JSON.parse(readFileSync(path.join(repositoryRoot, 'node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'), 'utf8')) as Record<string, unknown>;
  // Written for draft 4 of JSON Schema, and using nothing that later drafts read otherwise.
  const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false, unicodeRegExp: false }).compile(schema);
  return validate(log) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
}

test('SARIF 2.1.0: valid by its schema; rules, results, places relative to the folder, suppressions marked', async (t) => {
  const { root, weights } = project(t);
  mkdirSync(path.join(root, 'with space'));
  const model = path.join(root, 'with space', 'modèle.py');
  writeFileSync(model, MODEL.replace('self.fc = nn.Linear(dim, dim)', 'self.fc = nn.Linear(dim, dim)  # bitlens: ignore[BL101]'));
  const outcome = await bitlens(['check', model, '--checkpoint', weights, ...lossy, '--sarif'], { cwd: root });
  assert.equal(outcome.code, 0, outcome.stderr);
  const log = json<Sarif>(outcome);
  assert.deepEqual(sarifViolations(log), []);
  assert.notDeepEqual(sarifViolations({ ...log, runs: [{ ...log.runs[0], results: [{ level: 'grave' }] }] }), [], 'the schema is in force');
  assert.equal(log.version, '2.1.0');
  assert.match(log.$schema, /sarif-2\.1\.0/);
  const [run] = log.runs;
  assert.equal(log.runs.length, 1);
  assert.match(run!.originalUriBaseIds.SRCROOT.uri, /^file:\/\/\/.*\/$/);
  const { rules } = run!.tool.driver;
  assert.ok(rules.every((rule) => rule.shortDescription.text && rule.help.text));
  assert.ok(run!.results.length > 0);
  for (const result of run!.results) {
    assert.equal(rules[result.ruleIndex]!.id, result.ruleId);
    assert.ok(['error', 'warning', 'note'].includes(result.level));
    const { artifactLocation, region } = result.locations[0]!.physicalLocation;
    assert.deepEqual(artifactLocation, { uri: 'with%20space/mod%C3%A8le.py', uriBaseId: 'SRCROOT' });
    assert.ok(region.startLine >= 1 && region.startColumn >= 1 && (region.endLine > region.startLine || region.endColumn > region.startColumn));
    assert.equal(Object.values(result.partialFingerprints)[0]!.length, 64);
  }
  assert.ok(run!.results.some(({ ruleId, suppressions }) => ruleId === 'BL101' && suppressions?.[0]?.kind === 'inSource'));
});

test('folders: models in them are found, environments and files without torch are passed over', async (t) => {
  const { root, weights } = project(t);
  for (const hidden of ['.venv', 'node_modules', '__pycache__']) {
    mkdirSync(path.join(root, hidden));
    writeFileSync(path.join(root, hidden, 'hidden.py'), MODEL);
  }
  writeFileSync(path.join(root, 'plain.py'), 'print("no network here")\n');
  mkdirSync(path.join(root, 'sub'));
  writeFileSync(path.join(root, 'sub', 'other.py'), 'import torch.nn as nn\nclass Other(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.zzz = nn.Linear(3, 3)\n');
  const all = json<CheckDocument>(await bitlens(['check', root, '--no-measure', '--json']));
  assert.deepEqual(all.models.map(({ root: name }) => name), ['Net', 'Other']);
  const bound = json<CheckDocument>(await bitlens(['check', root, '--checkpoint', weights, '--json']));
  assert.deepEqual(bound.models.map(({ root: name }) => name), ['Net'], 'a checkpoint given for a folder belongs to the files it fits');
  const empty = folder(t);
  assert.equal((await bitlens(['check', empty])).code, 0);
  assert.equal((await bitlens(['check', empty, '--checkpoint', weights])).code, 2);
});

test('a refused checkpoint is a finding, and an error', async (t) => {
  const { root, model, weights } = project(t);
  const broken = path.join(root, 'broken.safetensors');
  writeFileSync(broken, readFileSync(weights).subarray(0, 3000));
  const outcome = await bitlens(['check', model, '--checkpoint', broken, '--json']);
  assert.equal(outcome.code, 1, outcome.stderr);
  assert.ok(json<CheckDocument>(outcome).findings.some(({ code, severity }) => code === 'BL405' && severity === 'error'));
});
