/** Coupled layers where there is no graph: by their names. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { coupledLayers, couplingsNamed } from '../../../server/analysis/coupling';
import { UserError } from '../../../server/analysis/user-error';
import type { Layer } from '../../../server/linking/layer';

const layersOf = (...paths: string[]): Layer[] => paths.map((path) => ({ path, weight: { info: { name: `${path}.weight` } } }) as unknown as Layer);
const byNames = (paths: string[], kind: 'qkv' | 'gate-up' | 'residual'): (readonly string[])[] => coupledLayers(layersOf(...paths), null, [kind]).groups.map(({ layers, by }) => { assert.equal(by, 'names'); return layers; });

test('names of projections that repositories use', () => {
  for (const names of [['q_proj', 'k_proj', 'v_proj'], ['query', 'key', 'value'], ['to_q', 'to_k', 'to_v'], ['wq', 'wk', 'wv'], ['W_q', 'W_k', 'W_v'], ['q', 'k', 'v'], ['q_lin', 'k_lin', 'v_lin'], ['query_layer', 'key_layer', 'value_layer'], ['fc_q', 'fc_k', 'fc_v']]) {
    const paths = [0, 1].flatMap((i) => [...names, 'o_proj'].map((name) => `blocks.${i}.attn.${name}`));
    assert.deepEqual(byNames(paths, 'qkv'), [0, 1].map((i) => names.map((name) => `blocks.${i}.attn.${name}`)), names.join());
  }
  assert.deepEqual(byNames(['a.q_proj', 'b.k_proj', 'c.qkv', 'kernel', 'vocab'], 'qkv'), []);
  assert.deepEqual(byNames(['a.q_proj', 'a.to_k', 'a.v'], 'qkv'), [], 'names of different manners');
});

test('names of gates', () => {
  assert.deepEqual(byNames(['m.gate_proj', 'm.up_proj', 'm.down_proj', 'n.w1', 'n.w2', 'n.w3', 'o.w1'], 'gate-up'), [['m.gate_proj', 'm.up_proj'], ['n.w1', 'n.w3']]);
});

test('residual additions are in no name, which is said; so is an unknown kind', () => {
  const { groups, notes } = coupledLayers(layersOf('a.conv1', 'a.conv2'), null, ['residual', 'qkv']);
  assert.deepEqual(groups, []);
  assert.match(notes.join(' '), /residual additions are known from the graph only.*no layers were found to couple for qkv/);
  assert.deepEqual(couplingsNamed(['all', 'qkv']), ['qkv', 'gate-up', 'residual']);
  assert.throws(() => couplingsNamed(['qvk']), (error) => error instanceof UserError && /Did you mean.*qkv|There are: qkv/.test(error.message));
});
