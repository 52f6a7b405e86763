/** The server over the protocol, in this process: what a client sees, and when. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { MarkupContent } from 'vscode-languageserver/node';
import { FakeKernel, start, workspace } from './harness';
import { MODEL, lineOf, UP, NET, HEAD, ENTRIES, TARGET, SETTINGS, low, model, of } from './model';
import { safetensors } from './safetensors';

test('findings from code and header come at once, measurements after a refresh', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  const kernel = new FakeKernel();
  kernel.scans = { 'blocks.0.up': low(18), 'blocks.1.up': low(12), 'blocks.2.up': low(17) };
  let open!: () => void;
  kernel.gate = new Promise((resolve) => { open = resolve; });
  const { client } = await start(t, files.folder, { kernel, settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);

  const early = await client.diagnostics(uri);
  assert.equal(of('BL101', early).length, 0, 'the kernel has not answered');
  const [missing] = of('BL401', early);
  assert.equal(missing!.range.start.line, HEAD);
  assert.match(missing!.message, /head\.bias is not in weights\.safetensors/);
  assert.equal(missing!.source, 'bitlens');
  assert.match(missing!.codeDescription!.href, /docs\/findings\.md#bl401$/);

  await client.until('measuring', () => client.statuses.some(({ state }) => state === 'measuring'));
  assert.match((await client.lenses(uri))[0]!.command!.title, /measuring/);
  open();
  await client.refreshed();
  const [found, ...rest] = of('BL101', await client.diagnostics(uri));
  assert.equal(rest.length, 0, 'three layers of one line are one finding');
  assert.equal(found!.range.start.line, UP);
  assert.equal(MODEL.split('\n')[UP]!.slice(found!.range.start.character, found!.range.end.character), 'nn.Linear(dim, 2 * dim)');
  assert.match(found!.message, /^blocks\.0\.\.2\.up: worst 12\.0 dB in int4-sym-g64 at blocks\.1\.up, below 20\.0 dB; int8-sym-channel keeps 44\.0 dB/);
  assert.equal(found!.severity, 2, 'eight dB below the threshold is a warning');
  await client.until('idle', () => client.statuses.at(-1)?.state === 'idle');
  await client.until('views are told', () => client.changed.flat().includes(uri));
});

test('result ids: unchanged when nothing changed, a new report when something did', async (t) => {
  const files = model(t);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.pull(uri);
  await client.refreshed();
  const first = await client.pull(uri);
  assert.equal(first.kind, 'full');
  assert.deepEqual(await client.pull(uri, first.resultId), { kind: 'unchanged', resultId: first.resultId });
  const character = MODEL.split('\n')[HEAD]!.indexOf('64');
  await client.edit(uri, [{ range: { start: { line: HEAD, character }, end: { line: HEAD, character: character + 2 } }, text: '32' }]);
  const second = await client.pull(uri, first.resultId);
  assert.equal(second.kind, 'full');
});

test('incremental edits move findings and change what they say', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  kernel.scans = { head: low(15) };
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  assert.equal(of('BL101', await client.diagnostics(uri))[0]!.range.start.line, HEAD);
  await client.edit(uri, [{ range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }, text: '# one\n# two\n' }]);
  assert.equal(of('BL101', await client.diagnostics(uri))[0]!.range.start.line, HEAD + 2);
  assert.equal(kernel.asked.length, 1, 'moving lines measures nothing again');

  const line = HEAD + 2;
  const character = MODEL.split('\n')[HEAD]!.indexOf('10)');
  await client.edit(uri, [{ range: { start: { line, character }, end: { line, character: character + 2 } }, text: '12' }]);
  const [shape] = of('BL403', await client.diagnostics(uri));
  assert.match(shape!.message, /head\.weight is 10 × 64 in weights\.safetensors, but the source makes 12 × 64/);
  await client.edit(uri, [{ text: MODEL.replace('self.head = nn.Linear(64, 10)', 'self.head = nn.Linear(64, 10)  # bitlens: ignore[BL101]') }]);
  assert.deepEqual(of('BL101', await client.diagnostics(uri)), []);
});

test('an edit that does not parse keeps the server and the findings of the rest', async (t) => {
  const files = model(t);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.edit(uri, [{ text: `${MODEL}\n\nclass Broken(nn.Module:\n    def __init__(self\n` }]);
  assert.ok(Array.isArray(await client.diagnostics(uri)));
  assert.ok((await client.lenses(uri)).length > 0);
});

test('files without torch get nothing, and cost no analysis', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('plain.py');
  await client.open(uri, 'import os\n# bitlens: ignore[BL999]\nclass Net:\n    pass\n');
  assert.deepEqual(await client.diagnostics(uri), []);
  assert.deepEqual(await client.lenses(uri), []);
  assert.deepEqual(await client.hints(uri), []);
  assert.equal(await client.hover(uri, 2, 7), null);
  assert.equal(kernel.asked.length, 0);
});

test('hover: formats, sizes, statistics and evidence, on the construction and on a use', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  kernel.scans = { 'blocks.1.up': { ...low(14.2), statistics: { kurtosis: 21 } } };
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const value = async (line: number, character: number) => ((await client.hover(uri, line, character))?.contents as MarkupContent | undefined)?.value ?? '';
  const up = await value(UP, 24);
  assert.match(up, /\*\*Linear\*\* `blocks\.0\.\.2\.up` · 3 layers/);
  assert.match(up, /\| Format \| SQNR \(worst of 3\) \| bits\/weight \| Size \|/);
  assert.match(up, /`int4-sym-g64` \(suggested for 2 of 3, target\) \| 14\.2 dB ⚠/);
  assert.match(up, /`int8-sym-channel` \(suggested for 1 of 3\) \| 44\.0 dB/);
  assert.match(up, /kurtosis 21/);
  assert.match(up, /Measured on the weights of weights/);
  assert.match(up, /`128 × 64 F32`/);
  assert.match(await value(UP, 14), /blocks\.0\.\.2\.up/, 'the name that is assigned');
  const use = lineOf(MODEL, 'return self.down');
  assert.match(await value(use, 22), /blocks\.0\.\.2\.down/, 'a use in forward');
  assert.match(await value(use, 42), /blocks\.0\.\.2\.up/, 'the second use on the line');
  const loop = lineOf(MODEL, 'for block in self.blocks');
  assert.match(await value(loop, 28), /6 layers/, 'a container shows what is in it');
  assert.equal(await client.hover(uri, use, 20 + 30), null, 'x is no layer');
});

test('hints and lens: suggested bits and sizes, recipe when there is one, settings honoured', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  kernel.scans = { head: low(10) };
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const hints = await client.hints(uri);
  const label = (line: number) => hints.find(({ position }) => position.line === line)?.label;
  assert.match(String(label(UP)), /^4 bits · 3 layers, /);
  assert.match(String(label(HEAD)), /^8 bits · \d+ B$/);
  const [summary, ...actions] = await client.lenses(uri);
  assert.equal(summary!.range.start.line, NET);
  assert.match(summary!.command!.title, /^7 layers · [\d.]+ kB → [\d.]+ kB at [\d.]+ bits$/);
  assert.deepEqual(actions.map(({ command }) => command!.command), ['bitlens.showReport', 'bitlens.runTrial', 'bitlens.suggestAllocation']);
  assert.deepEqual(actions[0]!.command!.arguments, [{ uri, root: 'Net' }]);

  files.write('model.recipe.json', JSON.stringify({ version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'weights.safetensors' }, default: { weights: 'int8-sym-channel' }, layers: {} }));
  await client.watched(files.uri('model.recipe.json'), 1);
  await client.refreshed();
  assert.match(String((await client.hints(uri)).find(({ position }) => position.line === UP)?.label), /^8 bits/);
});

test('a checkpoint replaced on disk replaces its findings; a vanished one takes them along', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  assert.equal(of('BL401', await client.diagnostics(uri)).length, 1);
  await client.refreshed();
  files.write('weights.safetensors', safetensors(ENTRIES));
  await client.watched(files.uri('weights.safetensors'), 2);
  await client.refreshed();
  assert.deepEqual(of('BL401', await client.diagnostics(uri)), []);
  files.write('weights.safetensors', safetensors(ENTRIES.slice(0, -2)));
  await client.watched(files.uri('weights.safetensors'), 2);
  await client.refreshed();
  assert.equal(of('BL401', await client.diagnostics(uri)).length, 1);
  files.remove('weights.safetensors');
  await client.watched(files.uri('weights.safetensors'), 3);
  await client.refreshed();
  const left = await client.diagnostics(uri);
  assert.ok(left.every(({ code }) => !String(code).startsWith('BL4') && !/^BL10[1-6]$/.test(String(code))), JSON.stringify(left.map(({ code }) => code)));
  assert.match((await client.lenses(uri))[0]!.command!.title, /no checkpoint/);
});

test('a malformed checkpoint is one error on the class, and the source goes on', async (t) => {
  const files = model(t);
  const bytes = safetensors(ENTRIES);
  files.write('weights.safetensors', bytes.subarray(0, bytes.length - 100));
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  const [refused, ...more] = of('BL405', await client.diagnostics(uri));
  assert.equal(more.length, 0);
  assert.equal(refused!.range.start.line, NET);
  assert.equal(refused!.severity, 1);
  assert.match(refused!.message, /weights\.safetensors is refused: /);
  assert.equal(kernel.asked.length, 0);
  const value = ((await client.hover(uri, HEAD, 24))!.contents as MarkupContent).value;
  assert.match(value, /refused/);
});

test('hostile tensor names are text in hovers, diagnostics and actions', async (t) => {
  const hostile = 'head.`](command:evil)<img src=x onerror=alert(1)>|\u202e\n__proto__';
  const files = model(t, [...ENTRIES, { name: hostile, shape: [4, 4] }, { name: '__proto__', shape: [2, 2] }, { name: 'constructor', shape: [2, 2] }]);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const found = of('BL402', await client.diagnostics(uri));
  assert.ok(found.length > 0 && found.some(({ message }) => message.includes('__proto__')));
  for (const { message } of found) assert.doesNotMatch(message, /[\n\u202e]/);

  const dictionary = MODEL.replace('self.head = nn.Linear(64, 10)', 'self.head = nn.ModuleDict({"`](command:x)|<b>": nn.Linear(64, 10)})');
  const name = 'head.`](command:x)|<b>';
  files.write('weights.safetensors', safetensors([...ENTRIES.slice(0, -2), { name: `${name}.weight`, shape: [10, 64] }, { name: `${name}.bias`, shape: [10] }]));
  await client.edit(uri, [{ text: dictionary }]);
  const hover = await client.hover(uri, HEAD, dictionary.split('\n')[HEAD]!.indexOf('nn.Linear') + 5);
  const value = (hover!.contents as MarkupContent).value;
  // Every occurrence stands between fences longer than the run of back-ticks in it.
  assert.match(value, /``head\.`\]\(command:x\)\|<b>/);
  assert.doesNotMatch(value.replace(/``[^\n]*?``/g, ''), /command:|<b>/);
});

test('a kernel that fails leaves findings from code and header, says so, and is not asked on every key', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  const kernel = new FakeKernel();
  kernel.failure = new Error('the kernel process was killed');
  const { client } = await start(t, files.folder, { kernel, settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  assert.equal(of('BL401', await client.diagnostics(uri)).length, 1);
  await client.until('the failure is said', () => client.statuses.some(({ state, message }) => state === 'error' && /killed/.test(message)));
  for (let key = 0; key < 5; key++) {
    await client.edit(uri, [{ range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }, text: '#\n' }]);
    assert.equal(of('BL401', await client.diagnostics(uri)).length, 1);
  }
  assert.equal(kernel.asked.length, 1);
  assert.match(((await client.hover(uri, HEAD + 5, 24))!.contents as MarkupContent).value, /Not measured: .*killed/);
  assert.match((await client.lenses(uri))[0]!.command!.title, /not measured/);

  kernel.failure = null;
  await client.request('bitlens/restartKernel', {});
  await client.diagnostics(uri);
  await client.until('measured after the restart', () => kernel.asked.length === 2);
});

test('a request that is cancelled stops its job and answers that it was', async (t) => {
  const files = model(t);
  const kernel = new FakeKernel();
  kernel.gate = new Promise(() => undefined);
  const { client } = await start(t, files.folder, { kernel, settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  const { CancellationTokenSource } = await import('vscode-jsonrpc/node');
  const source = new CancellationTokenSource();
  const progress: string[] = [];
  client.rpc.onNotification('$/progress', ({ value }: { value: { kind: string } }) => { progress.push(value.kind); });
  const answer = client.rpc.sendRequest('bitlens/quantizeLayer', { uri, path: 'head', format: 'int4', method: 'rtn', workDoneToken: 'w1' }, source.token)
    .then(() => assert.fail('it was cancelled'), (problem: { code?: number }) => problem.code);
  await client.until('the job runs', () => kernel.asked.some(({ kind }) => kind === 'quantize'));
  source.cancel();
  assert.equal(await answer, -32800);
  assert.equal(kernel.cancelled, 1);
  assert.deepEqual([progress[0], progress.at(-1)], ['begin', 'end']);
});

test('closing a document stops its measurement', async (t) => {
  const files = model(t);
  const kernel = new FakeKernel();
  kernel.gate = new Promise(() => undefined);
  const { client } = await start(t, files.folder, { kernel, settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.until('measuring', () => kernel.asked.length === 1);
  await client.close(uri);
  await client.until('idle', () => client.statuses.at(-1)?.state === 'idle');
  assert.equal(kernel.cancelled, 1);
});

test('bad client input is answered, not fatal', async (t) => {
  const files = model(t);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.edit('file:///never/opened.py', [{ text: 'x' }]);
  await client.close('file:///never/opened.py');
  await client.rpc.sendNotification('textDocument/didOpen', {});
  const failing = async (method: string, params: unknown): Promise<{ code: number; message: string }> =>
    client.rpc.sendRequest(method, params).then(() => assert.fail(`${method} should fail`), (problem: { code: number; message: string }) => problem);
  assert.match((await failing('bitlens/model', { root: 'Net' })).message, /"uri" is required/);
  assert.match((await failing('bitlens/trial', { uri, layers: [1] })).message, /"layers" must be a list of texts/);
  assert.match((await failing('bitlens/allocate', { uri, bits: 'many' })).message, /"bits" must be a number/);
  assert.equal((await failing('bitlens/inspect', [])).code, -32602);
  assert.match((await failing('bitlens/model', { uri: 'untitled:nowhere' })).message, /neither open nor a file/);
  assert.match((await failing('bitlens/quantizeLayer', { uri, path: 'nothing', format: 'int4', method: 'rtn' })).message, /no layer "nothing"/);
  assert.match((await failing('bitlens/inspect', { path: files.path('absent.safetensors') })).message, /absent\.safetensors/);
  await assert.rejects(client.rpc.sendRequest('bitlens/nonsense', {}));
  await client.open(uri, MODEL);
  assert.ok(Array.isArray(await client.diagnostics(uri)), 'still alive');
});

test('actions: the recipe, the comment, the severity, the documentation, the trial', async (t) => {
  const files = model(t);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  kernel.scans = { 'blocks.1.up': low(12) };
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const [finding] = of('BL101', await client.diagnostics(uri));
  const actions = await client.actions(uri, UP, [finding!]);
  const titled = (pattern: RegExp) => actions.find(({ title }) => pattern.test(title));
  const recipe = titled(/^Set blocks\.1\.up to int8-sym-channel in the recipe$/)!;
  assert.ok(recipe.isPreferred);
  assert.deepEqual(recipe.diagnostics?.map(({ code }) => code), ['BL101']);
  const [create, change] = recipe.edit!.documentChanges as [{ kind: string; uri: string }, { edits: { newText: string }[] }];
  assert.equal(create.kind, 'create');
  assert.equal(create.uri, files.uri('model.recipe.json'));
  assert.deepEqual(JSON.parse(change.edits[0]!.newText), {
    version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'weights.safetensors' }, default: { weights: 'keep' }, layers: { 'blocks.1.up': { weights: 'int8-sym-channel' } },
  });
  const ignore = titled(/^Ignore BL101 on this line$/)!.edit!.documentChanges![0] as { edits: { newText: string; range: { start: { character: number } } }[] };
  assert.equal(ignore.edits[0]!.newText, '  # bitlens: ignore[BL101]');
  assert.equal(ignore.edits[0]!.range.start.character, MODEL.split('\n')[UP]!.length);
  assert.ok(titled(/^Ignore BL101 in this file$/));
  assert.deepEqual(titled(/^Set severity of BL101/)!.command!.arguments, [{ code: 'BL101' }]);
  assert.equal(titled(/^Show documentation of BL101/)!.command!.command, 'bitlens.openDocumentation');
  assert.deepEqual(titled(/^Quantize blocks\.1\.up…$/)!.command!.arguments, [{ uri, root: 'Net', path: 'blocks.1.up', format: 'int8-sym-channel' }]);

  files.write('model.recipe.json', JSON.stringify({ version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'weights.safetensors' }, default: { weights: TARGET }, layers: { head: { weights: 'keep' } } }, null, 4));
  await client.watched(files.uri('model.recipe.json'), 1);
  await client.refreshed();
  const changed = (await client.actions(uri, UP)).find(({ title }) => title.startsWith('Set blocks.1.up'))!;
  const text = (changed.edit!.documentChanges![0] as { edits: { newText: string }[] }).edits[0]!.newText;
  assert.match(text, /^\{\n {4}"version": 1/, 'indentation is kept');
  assert.deepEqual((JSON.parse(text) as { layers: unknown }).layers, { head: { weights: 'keep' }, 'blocks.1.up': { weights: 'int8-sym-channel' } });
});

test('an imported file shows the findings of the open model that uses it', async (t) => {
  const files = model(t);
  const blocks = MODEL.slice(0, MODEL.indexOf('class Net'));
  const main = `import torch.nn as nn\nfrom blocks import Block\n\n\n${MODEL.slice(MODEL.indexOf('class Net'))}`;
  files.write('blocks.py', blocks);
  files.write('model.py', main);
  const { client, kernel } = await start(t, files.folder, { settings: SETTINGS });
  kernel.scans = { 'blocks.0.up': low(12) };
  await client.open(files.uri('blocks.py'), blocks);
  await client.open(files.uri('model.py'), main);
  await client.diagnostics(files.uri('model.py'));
  await client.refreshed();
  const [finding] = of('BL101', await client.diagnostics(files.uri('blocks.py')));
  assert.equal(finding!.range.start.line, UP);
  assert.deepEqual(of('BL101', await client.diagnostics(files.uri('model.py'))), []);
  assert.match(((await client.hover(files.uri('blocks.py'), UP, 24))!.contents as MarkupContent).value, /3 layers/);
  // A change of the imported file is a change of the model.
  const wider = blocks.replace('nn.Linear(dim, 2 * dim)', 'nn.Linear(dim, 3 * dim)');
  await client.edit(files.uri('blocks.py'), [{ text: wider }]);
  assert.ok(of('BL403', await client.diagnostics(files.uri('blocks.py'))).length > 0);
});

test('a broken bitlens.json is a finding, and does not stop the rest', async (t) => {
  const files = model(t);
  files.write('bitlens.json', '{ "models": [ { "sourc": "model.py" } ] }');
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  const [finding] = of('BL408', await client.diagnostics(uri));
  assert.match(finding!.message, /bitlens\.json/);
  files.write('bitlens.json', '{ "models": [ { "source": "model.py", "class": "Nett" } ] }');
  await client.watched(files.uri('bitlens.json'), 2);
  await client.refreshed();
  assert.match(of('BL408', await client.diagnostics(uri))[0]!.message, /Nett/);
  files.write('bitlens.json', '{ "models": [ { "source": "model.py", "class": "Net", "checkpoint": "weights.safetensors" } ] }');
  await client.watched(files.uri('bitlens.json'), 2);
  await client.refreshed();
  assert.deepEqual(of('BL408', await client.diagnostics(uri)), []);
});

test('a client that cannot pull is sent its diagnostics', async (t) => {
  const files = model(t, ENTRIES.slice(0, -1));
  const { client } = await start(t, files.folder, { settings: SETTINGS, capabilities: {} });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL);
  await client.until('published', () => client.published.some(({ diagnostics }) => diagnostics.some(({ code }) => code === 'BL401')));
  await client.close(uri);
  await client.until('cleared', () => client.published.at(-1)!.diagnostics.length === 0);
});

test('unsaved documents are analysed from their text alone', async (t) => {
  const files = workspace(t);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = 'untitled:Untitled-1';
  await client.open(uri, MODEL);
  assert.ok(Array.isArray(await client.diagnostics(uri)));
  const [lens] = await client.lenses(uri);
  assert.match(lens!.command!.title, /^7 layers · no checkpoint$/);
  const summary = await client.request('bitlens/model', { uri });
  assert.equal(summary.root, 'Net');
  assert.equal(summary.target.uri, uri);
});

test('our own requests answer about the open text', async (t) => {
  const files = model(t);
  const { client } = await start(t, files.folder, { settings: SETTINGS });
  const uri = files.uri('model.py');
  await client.open(uri, MODEL.replace('range(3)', 'range(2)'));
  const summary = await client.request('bitlens/model', { uri });
  assert.equal(summary.root, 'Net');
  assert.equal(summary.layers.filter(({ weight }) => weight !== null).length, 5);
  assert.ok((await client.request('bitlens/formats', {})).length > 10);
  assert.ok((await client.request('bitlens/methods', {})).some(({ id }) => id === 'rtn'));
  const inspected = await client.request('bitlens/inspect', { path: files.path('weights.safetensors') });
  assert.equal(inspected.tensors.length, ENTRIES.length);
  await client.request('bitlens/writeRecipe', { uri, path: 'head', format: 'int8-sym-channel', method: 'rtn' });
  assert.deepEqual((JSON.parse(files.read('model.recipe.json')) as { layers: unknown }).layers, { head: { weights: 'int8-sym-channel' } });
});
