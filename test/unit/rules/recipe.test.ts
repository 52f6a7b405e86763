/** Rules on recipes: BL107 to BL110. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkpoint, embedding, linear, parameter, tree } from '../linking/build';
import { nearestGroup } from '../../../server/rules/bl108-group-size';
import { analysis, at, findings } from './fixture';

const gpt = tree(embedding('emb', 100, 64), linear('up', 64, 256, at(6)), linear('down', 256, 64, at(7)), linear('head', 64, 100, at(8)));
const gptStored = checkpoint({ 'emb.weight': [100, 64], 'up.weight': [256, 64], 'down.weight': [64, 256], 'head.weight': [100, 64] });

test('BL107: first, last and embeddings below 8 bits in the recipe, and only there', () => {
  const model = analysis({ tree: gpt, checkpoint: gptStored, recipe: { default: { weights: 'int4-sym-channel' }, layers: { emb: { weights: 'int8-sym-channel' } } } });
  const found = findings('BL107', model);
  assert.deepEqual(found.map(({ layer }) => layer), ['head']);
  assert.match(found[0]!.message, /^head: the last layer gets 4 bits \(int4-sym-channel\)/);
  assert.deepEqual(findings('BL107', analysis({ tree: gpt, checkpoint: gptStored })), [], 'no recipe, nothing said');
  assert.deepEqual(findings('BL107', analysis({ tree: gpt, checkpoint: gptStored, recipe: { default: { weights: 'keep' } } })), []);
  const small = tree(linear('a', 4, 4), linear('b', 4, 4));
  assert.deepEqual(findings('BL107', analysis({ tree: small, recipe: { default: { weights: 'int2-sym-channel' } } })), [], 'two layers have no inner ones');
});

test('BL108: from the checkpoint, else from the source; a hint for the target, information for a recipe', () => {
  const odd = tree(linear('a', 96, 8, at(5)), linear('b', 128, 8, at(6)), linear('c', null, 8, at(7)));
  const [finding, ...rest] = findings('BL108', analysis({ tree: odd }));
  assert.equal(rest.length, 0, 'b divides, c is not known');
  assert.equal(finding!.severity, 'hint');
  assert.match(finding!.message, /^a: 96 weights per output channel are not divisible by the group size 128 of int4-sym-g128, so each row is one group; g32 divides them \(read from the source\)/);
  const recipe = analysis({ tree: odd, recipe: { default: { weights: 'int4-sym-g64' } } });
  assert.equal(findings('BL108', recipe)[0]!.severity, 'information');
  assert.deepEqual(findings('BL108', recipe).map(({ layer }) => layer), ['a']);
  assert.deepEqual(findings('BL108', analysis({ tree: odd }), { targetFormat: 'int4-sym-channel' }), []);
  assert.equal(nearestGroup(27, 128), null);
  assert.equal(nearestGroup(576, 128), 64);
});

test('BL109: tied layers with two formats, and groups of the recipe', () => {
  const tied = tree(embedding('emb', 100, 64), linear('body', 64, 64, at(6)), { ...linear('head', 64, 100, at(8)), parameters: [parameter('weight', [100, 64], { tiedTo: 'emb.weight' })] });
  const stored = checkpoint({ 'emb.weight': [100, 64], 'body.weight': [64, 64] });
  const model = (layers: Record<string, { weights: string }>, groups?: string[][]) =>
    analysis({ tree: tied, checkpoint: stored, recipe: { default: { weights: 'int8-sym-channel' }, layers, ...(groups && { groups }) } });
  const [finding, ...rest] = findings('BL109', model({ head: { weights: 'int4-sym-channel' } }));
  assert.equal(rest.length, 0);
  assert.match(finding!.message, /^head gets int4-sym-channel but emb gets int8-sym-channel, and they share one tensor/);
  assert.equal(finding!.severity, 'warning');
  assert.equal(finding!.span?.startLine, 8);
  assert.deepEqual(findings('BL109', model({ head: { weights: 'int4-sym-channel' }, emb: { weights: 'int4-sym-channel' } })), []);
  assert.match(findings('BL109', model({ body: { weights: 'int4-sym-channel' } }, [['emb', 'body']]))[0]!.message, /are one group of the recipe/);
});

test('BL110: names that the model or the registries do not have', () => {
  const model = analysis({ tree: gpt, checkpoint: gptStored, recipe: { default: { weights: 'int4-sym-g128' }, layers: { hed: { weights: 'int8-sym-channel' }, up: { weights: 'int44' }, down: { weights: 'int4', method: 'magic' } }, groups: [['emb', 'gone']] } });
  const messages = findings('BL110', model).map(({ message }) => message);
  assert.equal(messages.length, 4);
  assert.match(messages[0]!, /names layer hed, which the model does not have; head is the closest \(read from model\.recipe\.json\)/);
  assert.match(messages[1]!, /layer gone/);
  assert.match(messages[2]!, /format of up: "int44"/);
  assert.match(messages[3]!, /method of down: magic is not one of .*rtn/);
  assert.ok(findings('BL110', model).every(({ span }) => span === null), 'the recipe is another file: it sits on the class');
  const fine = analysis({ tree: gpt, checkpoint: gptStored, recipe: { default: { weights: 'keep' }, layers: { up: { weights: 'int4', method: 'rtn' } } } });
  assert.deepEqual(findings('BL110', fine), []);
});

test('BL110: a stale recipe with hundreds of names is a few findings', () => {
  const layers = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`gone.${index}.very.long.layer.path`, { weights: 'int4' }]));
  const found = findings('BL110', analysis({ tree: gpt, checkpoint: gptStored, recipe: { layers } }));
  assert.equal(found.length, 6);
  assert.match(found[5]!.message, /495 more names/);
});
