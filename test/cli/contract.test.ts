/** The command line's contract: verbs, JSON fields, exit codes. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { Recipe } from '../../kernels/recipe/recipe';
import { bitlens, folder, json, project, writeWeights } from './run';

const close = (a: number, b: number, what: string): void => assert.ok(Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b)), `${what}: ${a} and ${b}`);

test('inspect: format, tensors, parameters, problems', async (t) => {
  const { weights } = project(t);
  const outcome = await bitlens(['inspect', weights, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<{ format: string; tensors: { name: string; dtype: string; shape: number[]; bytes: number }[]; parameters: number; problems: unknown[] }>(outcome);
  assert.equal(document.format, 'safetensors');
  assert.deepEqual(document.tensors[0], { name: 'module.embed.weight', dtype: 'F32', shape: [64, 32], bytes: 64 * 32 * 4 });
  assert.equal(document.parameters, 64 * 32 + 2 * (32 * 32 + 3 * 32));
  assert.deepEqual(document.problems, []);
  assert.match((await bitlens(['inspect', weights])).stdout, /module\.blocks\.0\.fc\.weight +F32 +32×32/);
});

interface LayersDocument {
  root: string; reason: string; unlinkedTensors: string[]; unknowns: unknown[];
  layers: { path: string; className: string; file: string; line: number; linked: boolean; tensors: { name: string; shape: number[]; dtype: string }[] }[];
}

test('layers: modules with source lines and tensors, tied head included', async (t) => {
  const { model, weights } = project(t);
  const outcome = await bitlens(['layers', model, '--checkpoint', weights, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<LayersDocument>(outcome);
  assert.equal(document.root, 'Net');
  assert.match(document.reason, /explain 9 of the checkpoint's 9 tensors/);
  assert.deepEqual(document.layers.map(({ path: name, className, line, linked }) => [name, className, line, linked]), [
    ['embed', 'Embedding', 14, true],
    ['blocks.0.fc', 'Linear', 7, true], ['blocks.0.norm', 'LayerNorm', 8, true],
    ['blocks.1.fc', 'Linear', 7, true], ['blocks.1.norm', 'LayerNorm', 8, true],
    ['head', 'Linear', 16, true],
  ]);
  assert.ok(document.layers.every(({ file }) => file === model));
  assert.deepEqual(document.layers[1]!.tensors, [
    { name: 'module.blocks.0.fc.weight', shape: [32, 32], dtype: 'F32' }, { name: 'module.blocks.0.fc.bias', shape: [32], dtype: 'F32' },
  ]);
  assert.deepEqual([document.unlinkedTensors, document.unknowns], [[], []]);
  const text = await bitlens(['layers', model, '--checkpoint', weights]);
  assert.match(text.stdout, /head +Linear +16 +64×32 +F32 +– +tied to embed/);
  assert.match(text.stdout, /100\.0 % explained, prefix "module\."/);
});

test('layers without a checkpoint: every layer, unlinked', async (t) => {
  const root = folder(t);
  const model = path.join(root, 'm.py');
  writeFileSync(model, 'import torch.nn as nn\nclass A(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n        self.a = nn.Linear(n, 2)\n');
  const outcome = await bitlens(['layers', `${model}:A`, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const { root: name, layers } = json<LayersDocument>(outcome);
  assert.equal(name, 'A');
  assert.deepEqual(layers.map(({ path: layer, linked, tensors }) => [layer, linked, tensors]),
    [['a', false, [{ name: 'a.weight', shape: [2, null], dtype: null }, { name: 'a.bias', shape: [2], dtype: null }]]]);
});

test('TARGET may be a bitlens.json, with a class when it names several', async (t) => {
  const { root, weights } = project(t);
  const config = path.join(root, 'bitlens.json');
  writeFileSync(config, JSON.stringify({ models: [{ source: 'model.py', class: 'Net', checkpoint: path.basename(weights) }] }));
  const one = await bitlens(['layers', config, '--json']);
  assert.equal(one.code, 0, one.stderr);
  assert.equal(json<LayersDocument>(one).layers.filter(({ linked }) => linked).length, 6);
  writeFileSync(config, JSON.stringify({ models: [{ source: 'model.py', class: 'Net', checkpoint: path.basename(weights) }, { source: 'model.py', class: 'Block', args: { dim: 32 }, checkpoint: path.basename(weights) }] }));
  const two = await bitlens(['layers', config]);
  assert.equal(two.code, 2);
  assert.match(two.stderr, /names 2 models \(Net, Block\); say which: .*bitlens\.json:Net/);
  const block = await bitlens(['layers', `${config}:Block`, '--json']);
  assert.equal(json<LayersDocument>(block).root, 'Block');
  writeFileSync(config, JSON.stringify({ models: [{ source: 'model.py', clas: 'Net' }] }));
  const wrong = await bitlens(['layers', config]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /models\[0\] has no property "clas"\. Did you mean class\?/);
});

test('scan: every weight in every format asked for, shorthands under both names', async (t) => {
  const { weights } = project(t);
  const outcome = await bitlens(['scan', weights, '--formats', 'int4,int8-sym-channel', '--formats', 'bf16', '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<{ tensors: { name: string; formats: Record<string, { mse: number; sqnrDb: number; bitsPerWeight: number }> }[]; weights: number; seconds: number }>(outcome);
  assert.deepEqual(document.tensors.map(({ name }) => name), ['module.embed.weight', 'module.blocks.0.fc.weight', 'module.blocks.1.fc.weight']);
  assert.equal(document.weights, 64 * 32 + 2 * 32 * 32);
  assert.ok(document.seconds > 0);
  for (const { formats } of document.tensors) {
    assert.ok(['int4', 'int8-sym-channel', 'bf16'].every((id) => formats[id]!.bitsPerWeight > 0));
    assert.ok(formats.int4!.sqnrDb < formats['int8-sym-channel']!.sqnrDb);
    assert.equal(formats.bf16!.bitsPerWeight, 16);
  }
  assert.match((await bitlens(['scan', weights, '--formats', 'fp8'])).stdout, /fp8-e4m3/);
  const { skipped } = json<{ skipped: { name: string; reason: string }[] }>(outcome);
  assert.deepEqual(skipped.map(({ name }) => name), [0, 1].flatMap((index) => ['fc.bias', 'norm.weight', 'norm.bias'].map((name) => `module.blocks.${index}.${name}`)), 'every tensor is measured or skipped with a reason');
  assert.ok(skipped.every(({ reason }) => reason.startsWith('vectors (biases, weights of norms)')));
});

interface AllocateDocument {
  averageBits: number; bytes: number; objective: number; uniform: { format: string; objective: number; bytes: number } | null;
  layers: { path: string; format: string; bitsPerWeight: number }[];
}

test('allocate: under the budget, never worse than the uniform recipe, tied weights once', async (t) => {
  const { root, model, weights } = project(t);
  const out = path.join(root, 'out', 'net.recipe.json');
  const outcome = await bitlens(['allocate', model, '--checkpoint', weights, '--bits', '6', '--out', out, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<AllocateDocument>(outcome);
  assert.deepEqual(document.layers.map(({ path: name }) => name), ['embed', 'blocks.0.fc', 'blocks.1.fc']);
  assert.ok(document.averageBits <= 6);
  assert.ok(document.uniform && document.objective <= document.uniform.objective && document.uniform.bytes <= (64 * 32 + 2 * 32 * 32) * 6 / 8);
  const counts = [64 * 32, 32 * 32, 32 * 32];
  close(document.averageBits, document.layers.reduce((sum, { bitsPerWeight }, index) => sum + bitsPerWeight * counts[index]!, 0) / (64 * 32 + 2 * 32 * 32), 'average bits');
  const recipe = JSON.parse(readFileSync(out, 'utf8')) as Recipe;
  assert.equal(recipe.model.checkpoint, '../weights.safetensors');
  assert.equal(recipe.layers.head!.weights, recipe.layers.embed!.weights);
  const sized = json<AllocateDocument>(await bitlens(['allocate', model, '--checkpoint', weights, '--size', '2.5kB', '--metric', 'weight-sse', '--formats', 'int', '--json']));
  assert.ok(sized.bytes <= 2500);
  assert.match((await bitlens(['allocate', model, '--bits', '6'])).stdout, /Uniform recipe of at most this size: /);
});

test('quantize: by format and by recipe, written, read back, and what was not asked for stays as it was', async (t) => {
  const { root, model, weights } = project(t);
  const out = path.join(root, 'q.safetensors');
  const outcome = await bitlens(['quantize', model, '--checkpoint', weights, '--format', 'int8-sym-channel', '--layer', 'blocks.0', '--method', 'rtn', '--out', out, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<{ layers: { path: string; format: string; method: string; before: { sqnrDb: number }; after: { sqnrDb: number } }[]; export: { path: string; verifiedTensors: number } }>(outcome);
  assert.deepEqual(document.layers.map(({ path: name, format, method }) => [name, format, method]), [['blocks.0.fc', 'int8-sym-channel', 'rtn']]);
  assert.equal(document.layers[0]!.after.sqnrDb, document.layers[0]!.before.sqnrDb, 'round-to-nearest is what it is compared with');
  assert.equal(document.export.path, out);
  assert.equal(document.export.verifiedTensors, 9);
  const same = json<{ tensors: { name: string; formats: Record<string, { mse: number }> }[] }>(await bitlens(['scan', out, '--formats', 'int8-sym-channel', '--json']));
  assert.ok(same.tensors.find(({ name }) => name === 'module.blocks.0.fc.weight')!.formats['int8-sym-channel']!.mse < 1e-9, 'what was quantized is on the grid');
  assert.ok(same.tensors.find(({ name }) => name === 'module.blocks.1.fc.weight')!.formats['int8-sym-channel']!.mse > 1e-7, 'what was not is not');
  const recipe = path.join(root, 'r.recipe.json');
  await bitlens(['allocate', model, '--bits', '6', '--out', recipe]);
  const byRecipe = await bitlens(['quantize', model, '--recipe', recipe, '--layout', 'compressed-tensors', '--formats', 'x', '--out', path.join(root, 'p.safetensors')]);
  assert.equal(byRecipe.code, 2, 'quantize has no --formats');
  const packed = await bitlens(['quantize', model, '--recipe', recipe, '--method', 'mse-clip', '--out', path.join(root, 'p.safetensors')]);
  assert.equal(packed.code, 0, packed.stderr);
  assert.match(packed.stdout, /9 tensors read back and equal/);
});

test('report: one HTML file with every layer in it; CSV and JSON by the ending', async (t) => {
  const { root, model, weights } = project(t);
  for (const name of ['r.html', 'r.json', 'r.csv']) {
    const outcome = await bitlens(['report', model, '--checkpoint', weights, '--formats', 'int4-sym-channel,int8-sym-channel', '--out', path.join(root, name), '--json']);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(json<{ layers: number }>(outcome).layers, 4);
  }
  const html = readFileSync(path.join(root, 'r.html'), 'utf8');
  const data = JSON.parse(/<script id="bitlens-data" type="application\/json">([\s\S]*?)<\/script>/.exec(html)![1]!) as { layers: { path: string; detail: { histogram: { counts: number[] } } }[] };
  assert.deepEqual(data.layers.map((layer) => layer.path), ['embed', 'blocks.0.fc', 'blocks.1.fc', 'head']);
  assert.equal(data.layers[0]!.detail.histogram.counts.length, 64);
  assert.doesNotMatch(html, /(?:src|href)="http/);
  assert.equal((await bitlens(['report', model, '--out', path.join(root, 'r.pdf')])).code, 2);
});

test('formats, methods, rules: arrays with the contract\'s fields', async () => {
  const formats = json<{ id: string; title: string; bitsPerWeight: number; catalogue: string[] }[]>(await bitlens(['formats', '--json']));
  assert.ok(formats.length > 10 && formats.every(({ id, title, bitsPerWeight, catalogue }) => id && title && bitsPerWeight > 0 && Array.isArray(catalogue)));
  const methods = json<{ id: string; kind: string; title: string; needs: string; catalogue: string[] }[]>(await bitlens(['methods', '--json']));
  assert.ok(['rtn', 'mse-clip', 'weight-nsr'].every((id) => methods.some((method) => method.id === id)));
  assert.ok(methods.every(({ kind, needs, catalogue }) => kind && needs && Array.isArray(catalogue)));
  const rules = json<{ code: string }[]>(await bitlens(['rules', '--json']));
  assert.ok(rules.every(({ code }) => /^BL\d{3}$/.test(code)));
  for (const verb of ['formats', 'methods', 'rules']) assert.equal((await bitlens([verb])).code, 0);
});

test('names from the file survive: __proto__, constructor, empty, control characters', async (t) => {
  const root = folder(t);
  const names = ['__proto__.weight', 'constructor.weight', 'a\u001b[31m.weight', '', 'toString'];
  const weights = writeWeights(path.join(root, 'w.safetensors'), names.map((name) => [name, [4, 4]] as const));
  const scan = json<{ tensors: { name: string; formats: Record<string, unknown> }[] }>(await bitlens(['scan', weights, '--formats', 'int4', '--json']));
  assert.deepEqual(scan.tensors.map(({ name }) => name), names);
  const text = await bitlens(['inspect', weights]);
  assert.equal(text.code, 0, text.stderr);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(text.stdout, /\u001b/);
  const model = path.join(root, 'm.py');
  writeFileSync(model, 'import torch.nn as nn\nclass A(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.__proto__ = nn.Linear(4, 4, bias=False)\n        self.constructor = nn.Linear(4, 4, bias=False)\n');
  const recipe = path.join(root, 'a.recipe.json');
  const allocated = await bitlens(['allocate', model, '--checkpoint', weights, '--bits', '8.5', '--formats', 'int8-sym-tensor,int4-sym-tensor', '--out', recipe, '--json']);
  assert.equal(allocated.code, 0, allocated.stderr);
  assert.deepEqual(json<AllocateDocument>(allocated).layers.map(({ path: name }) => name), ['__proto__', 'constructor']);
  assert.match(readFileSync(recipe, 'utf8'), /"__proto__": \{/);
  assert.equal((await bitlens(['quantize', model, '--checkpoint', weights, '--recipe', recipe, '--out', path.join(root, 'q.safetensors')])).code, 0);
});

test('bad input: exit 2, one line on stderr, a document when one was asked for, nothing written', async (t) => {
  const { root, model, weights } = project(t);
  const broken = path.join(root, 'broken.safetensors');
  writeFileSync(broken, readFileSync(weights).subarray(0, 3000));
  const cases: (readonly [readonly string[], RegExp])[] = [
    [[], /Usage: bitlens VERB/],
    [['inspct', weights], /Did you mean inspect\?/],
    [['inspect'], /needs CHECKPOINT/],
    [['inspect', weights, 'more'], /one argument too many/],
    [['inspect', path.join(root, 'none')], /none/],
    [['inspect', broken], /broken\.safetensors/],
    [['layers', model, '--chekpoint', weights], /--chekpoint is not a flag.*Did you mean --checkpoint\?/],
    [['layers', model, '--checkpoint'], /--checkpoint needs a value/],
    [['layers', `${model}:Nett`], /no module class "Nett".*Did you mean Net\?/],
    [['layers', root], /is a folder/],
    [['layers', weights], /neither Python source, an ONNX file nor a bitlens\.json/],
    [['layers', model, '--checkpoint', broken], /broken\.safetensors/],
    [['scan', weights, '--formats', 'int44-sym'], /int/],
    [['scan', weights, '--formats', ','], /--formats is empty/],
    [['allocate', model], /either --bits B or --size BYTES/],
    [['allocate', model, '--bits', '4', '--size', '1MB'], /either --bits B or --size BYTES/],
    [['allocate', model, '--bits', 'four'], /--bits must be a number/],
    [['allocate', model, '--size', '12 parsecs'], /--size must be bytes/],
    [['allocate', model, '--bits', '0.5'], /a budget of 0\.5 bits per weight cannot be met/],
    [['allocate', model, '--bits', '1'], /a budget of 1 bit per weight cannot be met/],
    [['allocate', model, '--size', '1B'], /a budget of 1 byte cannot be met: .* the 3 quantizable layers need at least [\d.]+ bits per weight or \d+ bytes/],
    [['allocate', model, '--size', '0B'], /--size must be bytes/],
    [['allocate', model, '--bits', '4', '--bits', '5'], /given twice/],
    [['allocate', model, '--bits', '5', '--metric', 'weight-nsrr'], /Did you mean weight-nsr\?/],
    [['quantize', model, '--format', 'int4'], /--out is needed/],
    [['quantize', model, '--out', 'x'], /either --recipe R or --format F/],
    [['quantize', model, '--format', 'int4', '--layer', 'blocks.7', '--out', path.join(root, 'x')], /no layer "blocks\.7"/],
    [['quantize', model, '--format', 'int4', '--layer', 'blocks.0.norm', '--out', path.join(root, 'x')], /keeps its precision/],
    [['quantize', model, '--format', 'int4', '--out', weights], /is the checkpoint that is read/],
    [['quantize', model, '--recipe', path.join(root, 'none.json'), '--out', path.join(root, 'x')], /does not exist/],
    [['check', model, '--fail-on', 'errors'], /must be one of error, warning, info/],
  ];
  const before = readdirSync(root).sort();
  for (const [args, message] of cases) {
    const outcome = await bitlens([...args, ...(args.length > 0 ? ['--json'] : [])]);
    assert.equal(outcome.code, 2, `${args.join(' ')}: ${outcome.stdout}${outcome.stderr}`);
    assert.match(outcome.stderr, message, args.join(' '));
    assert.doesNotMatch(outcome.stderr, /\n\s+at /, 'no stack');
    if (args.length > 0) assert.equal(typeof json<{ error: string }>(outcome).error, 'string');
    if (args.length > 0) assert.equal(outcome.stderr.split('\n').filter((line) => line.startsWith('bitlens: ')).length, 1, 'one line');
  }
  assert.deepEqual(readdirSync(root).sort(), before);
  assert.ok(!existsSync(path.join(root, 'x')));
});

test('help and version', async () => {
  assert.match((await bitlens(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  const help = await bitlens(['--help']);
  assert.equal(help.code, 0);
  for (const verb of ['inspect', 'layers', 'check', 'scan', 'allocate', 'quantize', 'report', 'formats', 'methods', 'rules']) {
    assert.ok(help.stdout.includes(verb));
    const own = await bitlens([verb, '--help']);
    assert.equal(own.code, 0);
    assert.match(own.stdout, /Usage: bitlens /);
  }
});
