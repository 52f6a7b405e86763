/** Rules on checkpoints and source: BL401 to BL407, BL501. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CheckpointProblem, PickleImport } from '../../../kernels/checkpoint/checkpoint';
import { batchNorm, checkpoint, checkpointOf, embedding, linear, node, parameter, tensor, tree } from '../linking/build';
import { groupByPrefix } from '../../../server/rules/bl402-unexpected-tensor';
import { analysis, at, findings } from './fixture';

const net = tree(...['a', 'b', 'c', 'd'].map((name, index) => linear(name, 8, 8, at(5 + index))));
const shapes = (names: string) => Object.fromEntries([...names].flatMap((name) => [[`${name}.weight`, [8, 8]], [`${name}.bias`, [8]]]));

test('BL401 sits on the line that makes the parameter', () => {
  const found = findings('BL401', analysis({ tree: net, checkpoint: checkpoint(shapes('abc')) }));
  assert.equal(found.length, 1);
  assert.equal(found[0]!.span?.startLine, 8);
  assert.equal(found[0]!.severity, 'warning');
  assert.equal(found[0]!.message, 'd.weight and d.bias are not in weights.safetensors (read from the header of weights.safetensors).');
  assert.deepEqual(findings('BL401', analysis({ tree: net, checkpoint: checkpoint(shapes('abcd')) })), []);
  assert.deepEqual(findings('BL401', analysis({ tree: net })), [], 'without a checkpoint nothing is missing');
});

test('BL401 is one finding on the class when the checkpoint is for something else', () => {
  const found = findings('BL401', analysis({ tree: net, checkpoint: checkpoint({ ...shapes('a'), 'x.weight': [3] }) }));
  assert.equal(found.length, 1);
  assert.equal(found[0]!.span, null);
  assert.match(found[0]!.message, /^6 of 8 parameters of this model are not in weights\.safetensors/);
});

test('BL401 forgives the counters that PyTorch fills in', () => {
  const model = tree(linear('a', 8, 8), batchNorm('bn', 8));
  const stored = checkpoint({ ...shapes('a'), 'bn.weight': [8], 'bn.bias': [8], 'bn.running_mean': [8], 'bn.running_var': [8] });
  const found = findings('BL401', analysis({ tree: model, checkpoint: stored }));
  assert.ok(found.every(({ severity }) => severity === 'hint'));
});

test('BL402 groups by prefix and sits on the innermost module', () => {
  const model = tree(node('block', 'Block', 'user', [], [linear('fc', 8, 8)], at(12)));
  const stored = checkpoint({ 'block.fc.weight': [8, 8], 'block.fc.bias': [8], 'block.extra.0.weight': [8, 8], 'block.extra.1.weight': [8, 8], 'teacher.a.weight': [2, 2] });
  const found = findings('BL402', analysis({ tree: model, checkpoint: stored }));
  const inner = found.find(({ message }) => message.includes('block.extra'))!;
  assert.equal(inner.span?.startLine, 12);
  assert.match(inner.message, /^2 tensors under block\.extra\. of weights\.safetensors are in no module of block \(Block\): block\.extra\.0\.\.1\.weight/);
  const outer = found.find(({ message }) => message.includes('teacher'))!;
  assert.equal(outer.span, null);
});

test('BL402 groups names and never one finding per tensor', () => {
  assert.deepEqual(groupByPrefix(['a.b.c', 'a.b.d', 'e', 'f']), [{ prefix: 'a.b.', names: ['a.b.c', 'a.b.d'] }, { prefix: '', names: ['e', 'f'] }]);
  assert.deepEqual(groupByPrefix(['a.b.c']), [{ prefix: 'a.b.', names: ['a.b.c'] }]);
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`stray${index % 50}.w${index}`, [2]]));
  const found = findings('BL402', analysis({ tree: net, checkpoint: checkpoint({ ...shapes('abcd'), ...many }) }));
  assert.ok(found.length <= 8, `${found.length} findings`);
});

test('BL403 says expected and actual', () => {
  const found = findings('BL403', analysis({ tree: net, checkpoint: checkpoint({ ...shapes('abc'), 'd.weight': [10, 8], 'd.bias': [10] }) }));
  assert.equal(found.length, 1);
  assert.equal(found[0]!.span?.startLine, 8);
  assert.match(found[0]!.message, /^d\.weight is 10 × 8 in weights\.safetensors, but the source makes 8 × 8; 1 more on this line, for example d\.bias/);
  const loose = tree(linear('a', null, 8));
  assert.deepEqual(findings('BL403', analysis({ tree: loose, checkpoint: checkpoint({ 'a.weight': [8, 77], 'a.bias': [8] }) })), [], 'a dimension that is not known contradicts nothing');
});

test('BL404 is information on the layer that shares, with the owner as related place', () => {
  const model = tree(embedding('emb', 10, 8), { ...linear('head', 8, 10, at(9)), parameters: [parameter('weight', [10, 8], { tiedTo: 'emb.weight' })] });
  const found = findings('BL404', analysis({ tree: model, checkpoint: checkpoint({ 'emb.weight': [10, 8] }) }));
  assert.equal(found.length, 1);
  assert.equal(found[0]!.severity, 'information');
  assert.match(found[0]!.message, /^head shares its weight with emb/);
  assert.equal(found[0]!.related?.length, 1);
  assert.deepEqual(findings('BL404', analysis({ tree: net, checkpoint: checkpoint(shapes('abcd')) })), []);
});

test('BL405 names file, byte and what to do', () => {
  const problem: CheckpointProblem = { code: 'BL405', grade: 'malformed', message: 'tensor w ends beyond the file', offset: 96, fix: 'Download the file again' };
  const found = findings('BL405', analysis({ tree: net, more: { checkpointPath: '/weights.safetensors', checkpointError: problem } }));
  assert.deepEqual(found.map(({ severity, message, span }) => ({ severity, message, span })), [
    { severity: 'error', message: 'weights.safetensors is refused: tensor w ends beyond the file (byte 96). Download the file again.', span: null }]);
});

test('BL406 shows what is questionable, bounded', () => {
  const problems = Array.from({ length: 100 }, (_, index): CheckpointProblem => ({ code: 'BL406', grade: 'questionable', message: `odd ${index}`, fix: 'Save it again' }));
  const model = analysis({ tree: net, checkpoint: { ...checkpoint(shapes('abcd')), problems } });
  assert.equal(findings('BL406', model).length, 9);
  assert.equal(findings('BL406', model)[0]!.message, 'weights.safetensors: odd 0. Save it again.');
  assert.deepEqual(findings('BL406', analysis({ tree: net, checkpoint: checkpoint(shapes('abcd')) })), []);
});

test('BL407 tells code from merely unknown imports, and names are text', () => {
  const imports = (...list: PickleImport[]) => analysis({ tree: net, checkpoint: { ...checkpoint(shapes('abcd')), imports: list } });
  const safe: PickleImport = { module: 'torch._utils', name: '_rebuild_tensor_v2', offset: 1, kind: 'tensor' };
  assert.deepEqual(findings('BL407', imports(safe)), []);
  assert.equal(findings('BL407', imports(safe, { module: 'numpy.core', name: 'scalar', offset: 2, kind: 'other' }))[0]!.severity, 'information');
  const [code] = findings('BL407', imports({ module: 'os', name: 'system\n\u202e', offset: 3, kind: 'code' }));
  assert.equal(code!.severity, 'warning');
  assert.match(code!.message, /os\.system\\u000a\\u202e/);
});

test('BL501 hints only where something is hidden', () => {
  const open = { ...node('body', 'Timm', 'unknown', [], [], at(7)), unknown: { reason: 'timm.create_model is not in the workspace' } };
  const loss = { ...node('loss', 'MyLoss', 'unknown', [], [], at(8)), unknown: { reason: 'my_losses is not in the workspace' } };
  const model = tree(linear('a', 8, 8), open, loss);
  assert.equal(findings('BL501', analysis({ tree: model })).length, 2, 'without a checkpoint nothing is known about either');
  const stored = checkpoint({ ...shapes('a'), 'body.blocks.0.weight': [8, 8] });
  const found = findings('BL501', analysis({ tree: model, checkpoint: stored }));
  assert.deepEqual(found.map(({ layer }) => layer), ['body']);
  assert.equal(found[0]!.severity, 'hint');
  assert.equal(found[0]!.message, 'what is inside body is not known: timm.create_model is not in the workspace (read from the source).');
});

test('hostile names stay on one line of text', () => {
  const name = 'a`\n[x](command:evil)\u202e<img src=x onerror=1>'.padEnd(5000, 'y');
  const stored = checkpointOf([...checkpoint(shapes('abcd')).tensors, tensor(name, [2, 2])]);
  for (const { message } of findings('BL402', analysis({ tree: net, checkpoint: stored }))) {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(message, /[\u0000-\u001f\u202a-\u202e]/);
    assert.ok(message.length < 1000);
  }
});
