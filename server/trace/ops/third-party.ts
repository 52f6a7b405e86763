/** Modules of other packages that public models are made of: what their forward does. Their contents are in server/python/torch/third-party.ts. */
import { Instance, PyTuple, Tensor, type Value } from '../../python/values/values';
import { floorQuotient, hintOf, times } from '../../python/values/symbolic';
import type { Bound } from '../bound';
import { defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { rank, reshape, swap, transpose } from './basic';
import { elementwise } from './arithmetic';
import { attention } from './attention';
import { linear } from './linear';
import { flatten } from './shape';
import { unbind } from './indexing';

function run(g: Tracer, module: Value | undefined, x: Tensor, what: string): Tensor {
  const made = module === undefined || module === null ? x : g.call(module, x);
  return made instanceof Tensor ? made : g.stop(`${what} gives no tensor`);
}
/** A class of activations given as an argument, made and run; the package's own default otherwise. */
function activate(g: Tracer, m: Bound, name: string, otherwise: string, x: Tensor): Tensor {
  const given = m.raw(name);
  if (given === undefined || typeof given === 'string') return g.op(otherwise, x);
  return given === null ? x : run(g, g.call(given), x, name);
}

// ---- timm ----

defineModule('PatchEmbed', 'x', (g, m, a) => {
  const x = run(g, m.raw('proj'), a.tensor('x'), 'proj');
  const tokens = m.flag('flatten', true) ? swap(g, flatten(g, x, 2, -1), 1, 2) : x;
  return run(g, m.raw('norm'), tokens, 'norm');
});
defineModule('Mlp', 'x', (g, m, a) => {
  const hidden = activate(g, m, m.given('act_layer') ? 'act_layer' : 'activation', 'gelu', run(g, m.raw('fc1'), a.tensor('x'), 'fc1'));
  return run(g, m.raw('fc2'), run(g, m.raw('norm'), hidden, 'norm'), 'fc2');
});
defineModule('Attention', 'x, attn_mask=None', (g, m, a) => {
  const x = a.tensor('x');
  const [batch, tokens, width] = g.dims(x);
  const heads = m.number('num_heads');
  if (rank(g, x) !== 3) return g.stop('attention is given something other than a batch of sequences');
  const size = floorQuotient(width!, heads);
  const parts = transpose(g, reshape(g, run(g, m.raw('qkv'), x, 'qkv'), [batch!, tokens!, 3, heads, size]), [2, 0, 3, 1, 4]);
  const [q, k, v] = unbind(g, parts, 0) as [Tensor, Tensor, Tensor];
  const made = attention(g, run(g, m.raw('q_norm'), q, 'q_norm'), run(g, m.raw('k_norm'), k, 'k_norm'), v, a.optional('attn_mask'), false, 1 / Math.sqrt(hintOf(size)));
  return run(g, m.raw('proj'), reshape(g, swap(g, made, 1, 2), [batch!, tokens!, times(size, heads)]), 'proj');
});
defineModule('Block', 'x, attn_mask=None', (g, m, a) => {
  const add = (x: Tensor, norm: string, inner: string, scale: string): Tensor =>
    elementwise(g, 'Add', x, run(g, m.raw(scale), run(g, m.raw(inner), run(g, m.raw(norm), x, norm), inner), scale));
  return add(add(a.tensor('x'), 'norm1', 'attn', 'ls1'), 'norm2', 'mlp', 'ls2');
});

// ---- torchvision.ops ----

defineModule('Conv2dNormActivation Conv3dNormActivation', 'input', (g, m, a, instance) => {
  const layers = [...instance.modules.values()].filter((each): each is Instance => each instanceof Instance);
  return activate(g, m, 'activation_layer', 'relu', layers.reduce((x, layer) => run(g, layer, x, 'a layer'), a.tensor('input')));
});
defineModule('SqueezeExcitation', 'input', (g, m, a) => {
  const x = a.tensor('input');
  const squeezed = activate(g, m, 'activation', 'relu', run(g, m.raw('fc1'), g.opWith('mean', [x, new PyTuple([-2, -1])], { keepdim: true }) as Tensor, 'fc1'));
  return elementwise(g, 'Mul', activate(g, m, 'scale_activation', 'sigmoid', run(g, m.raw('fc2'), squeezed, 'fc2')), x);
});

// ---- tensor parallelism: one process holds everything ----

defineModule('ColumnParallelLinear RowParallelLinear', 'input_', (g, m, a) => linear(g, a.tensor('input_'), m.tensor('weight'), m.optional('bias')));
defineModule('ParallelEmbedding VocabParallelEmbedding', 'input_', (g, m, a) => g.op('embedding', a.tensor('input_'), m.tensor('weight')));
