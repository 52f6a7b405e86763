/** Attention: the fused function, nn.MultiheadAttention, and the Transformer layers that are made of it. */
import { Instance, PyTuple, Tensor, type Value } from '../../python/values/values';
import { exactQuotient, floorQuotient, hintOf, type Whole } from '../../python/values/symbolic';
import type { Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { cast, expand, rank, reshape, same, scalar, slice, swap, transpose, unsqueeze } from './basic';
import { elementwise } from './arithmetic';
import { linear, matmul } from './linear';
import { reduce } from './reduction';

/** A mask that is added: true means "look here" unless `inverted`. */
function additive(g: Tracer, mask: Tensor, inverted = false): Tensor {
  if (g.type(mask) !== 'BOOL') return mask;
  const [yes, no] = inverted ? [-Infinity, 0] : [0, -Infinity];
  return g.op('where', mask, scalar(g, yes), scalar(g, no));
}
function causal(g: Tracer, rows: Whole, columns: Whole): Tensor {
  return g.opWith('tril', [g.opWith('ones', [new PyTuple([rows, columns])], {})], {}) as Tensor;
}
/** softmax(q k^T scale + mask) v. */
export function attention(g: Tracer, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | null, isCausal: boolean, scale: number): Tensor {
  const scores = elementwise(g, 'Mul', matmul(g, q, swap(g, k, rank(g, k) - 2, rank(g, k) - 1)), scalar(g, scale));
  const look = isCausal ? cast(g, causal(g, g.dims(q).at(-2)!, g.dims(k).at(-2)!), 'BOOL') : null;
  let biased = scores;
  if (look) biased = elementwise(g, 'Add', biased, additive(g, look));
  if (mask) biased = elementwise(g, 'Add', biased, additive(g, mask));
  return matmul(g, same(g, 'Softmax', biased, { axis: { int: -1 } }), v);
}
define('scaled_dot_product_attention', 'query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False', (g, a) => {
  const q = a.tensor('query');
  let [k, v] = [a.tensor('key'), a.tensor('value')];
  const width = g.dims(q).at(-1)!;
  if (a.flag('enable_gqa')) {
    const times_ = hintOf(exactQuotient(g.dims(q).at(-3)!, g.dims(k).at(-3)!) ?? g.stop('the heads of queries are no multiple of those of keys'));
    [k, v] = [k, v].map((each) => g.op('repeat_interleave', each, times_, -3)) as [Tensor, Tensor];
  }
  const scale = a.given('scale') ? a.number('scale') : 1 / Math.sqrt(typeof width === 'number' ? width : g.fix(width));
  return attention(g, q, k, v, a.optional('attn_mask'), a.flag('is_causal'), scale);
});

interface Heads {
  readonly count: number; readonly weight: Tensor | null; readonly separate: readonly [Tensor, Tensor, Tensor] | null; readonly bias: Tensor | null;
  readonly out: { readonly weight: Tensor; readonly bias: Tensor | null };
  readonly biasK: Tensor | null; readonly biasV: Tensor | null;
}
/** Sequence first: [T, N, E]. Gives the output and the weights of the heads before they are averaged. */
function multihead(g: Tracer, query: Tensor, key: Tensor, value: Tensor, heads: Heads, padding: Tensor | null, mask: Tensor | null, isCausal: boolean): { output: Tensor; weights: Tensor } {
  const [t, n, e] = g.dims(query) as [Whole, Whole, Whole];
  const width = typeof e === 'number' ? e : g.fix(e);
  const part = (tensor: Tensor | null, i: number): Tensor | null => tensor && slice(g, tensor, 0, i * width, (i + 1) * width);
  const project = (x: Tensor, i: number): Tensor => linear(g, x, heads.separate ? heads.separate[i]! : part(heads.weight, i)!, part(heads.bias, i));
  const q = project(query, 0);
  let [k, v] = [project(key, 1), project(value, 2)];
  if (heads.biasK && heads.biasV) {
    k = g.op('cat', new PyTuple([k, expand(g, heads.biasK, [1, n, width])]), 0);
    v = g.op('cat', new PyTuple([v, expand(g, heads.biasV, [1, n, width])]), 0);
    if (padding || mask) return g.stop('masks together with add_bias_kv are not traced');
  }
  const s = g.dims(k)[0]!;
  const size = floorQuotient(width, heads.count);
  const split = (x: Tensor, length: Whole): Tensor => transpose(g, reshape(g, x, [length, n, heads.count, size]), [1, 2, 0, 3]);
  const [qh, kh, vh] = [split(q, t), split(k, s), split(v, s)];
  let bias: Tensor | null = null;
  if (mask) {
    const shaped = rank(g, mask) === 3 ? reshape(g, mask, [n, heads.count, t, s]) : mask;
    bias = additive(g, shaped, true);
  } else if (isCausal) bias = additive(g, cast(g, causal(g, t, s), 'BOOL'));
  if (padding) {
    const rows = additive(g, unsqueeze(g, padding, [1, 2]), true);
    bias = bias ? elementwise(g, 'Add', bias, rows) : rows;
  }
  const scores = elementwise(g, 'Mul', matmul(g, qh, swap(g, kh, 2, 3)), scalar(g, 1 / Math.sqrt(hintOf(size))));
  const weights = same(g, 'Softmax', bias ? elementwise(g, 'Add', scores, bias) : scores, { axis: { int: -1 } });
  const joined = reshape(g, transpose(g, matmul(g, weights, vh), [2, 0, 1, 3]), [t, n, width]);
  return { output: linear(g, joined, heads.out.weight, heads.out.bias), weights };
}
function headsOf(g: Tracer, m: Bound): Heads {
  const out = m.raw('out_proj');
  if (!(out instanceof Instance)) return g.stop('the output projection of MultiheadAttention is not known');
  const named = (name: string): Tensor | null => { const value = out.parameters.get(name); return value instanceof Tensor ? value : null; };
  return {
    count: m.number('num_heads'), weight: m.optional('in_proj_weight'), bias: m.optional('in_proj_bias'),
    separate: m.given('q_proj_weight') ? [m.tensor('q_proj_weight'), m.tensor('k_proj_weight'), m.tensor('v_proj_weight')] : null,
    out: { weight: named('weight') ?? g.stop('the output projection has no weight'), bias: named('bias') }, biasK: m.optional('bias_k'), biasV: m.optional('bias_v'),
  };
}
function selfOrCross(g: Tracer, m: Bound, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | null, mask: Tensor | null, isCausal: boolean): { output: Tensor; weights: Tensor } {
  const unbatched = rank(g, query) === 2;
  const first = m.flag('batch_first') && !unbatched;
  const forward = (x: Tensor): Tensor => (unbatched ? unsqueeze(g, x, [1]) : first ? swap(g, x, 0, 1) : x);
  const pad = padding && unbatched ? unsqueeze(g, padding, [0]) : padding;
  const made = multihead(g, forward(query), forward(key), forward(value), headsOf(g, m), pad, mask, isCausal);
  const back = unbatched ? g.op('squeeze', made.output, 1) : first ? swap(g, made.output, 0, 1) : made.output;
  return { output: back, weights: unbatched ? g.op('squeeze', made.weights, 0) : made.weights };
}
defineModule('MultiheadAttention', 'query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False', (g, m, a) => {
  const made = selfOrCross(g, m, a.tensor('query'), a.tensor('key'), a.tensor('value'), a.optional('key_padding_mask'), a.optional('attn_mask'), a.flag('is_causal') && !a.given('attn_mask'));
  if (!a.flag('need_weights', true)) return new PyTuple([made.output, null]);
  return new PyTuple([made.output, a.flag('average_attn_weights', true) ? reduce(g, 'ReduceMean', made.weights, [rank(g, made.weights) - 3], false) : made.weights]);
});

define('multi_head_attention_forward', 'query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True, '
  + 'key_padding_mask=None, need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True, is_causal=False', (g, a) => {
  if (a.flag('add_zero_attn') || a.given('static_k') || a.given('static_v')) return g.stop('multi_head_attention_forward with add_zero_attn, static_k or static_v is not traced');
  const made = multihead(g, a.tensor('query'), a.tensor('key'), a.tensor('value'), {
    count: a.number('num_heads'), weight: a.optional('in_proj_weight'), bias: a.optional('in_proj_bias'), biasK: a.optional('bias_k'), biasV: a.optional('bias_v'),
    separate: a.flag('use_separate_proj_weight') ? [a.tensor('q_proj_weight'), a.tensor('k_proj_weight'), a.tensor('v_proj_weight')] : null,
    out: { weight: a.tensor('out_proj_weight'), bias: a.optional('out_proj_bias') },
  }, a.optional('key_padding_mask'), a.optional('attn_mask'), a.flag('is_causal') && !a.given('attn_mask'));
  if (!a.flag('need_weights', true)) return new PyTuple([made.output, null]);
  return new PyTuple([made.output, a.flag('average_attn_weights', true) ? reduce(g, 'ReduceMean', made.weights, [rank(g, made.weights) - 3], false) : made.weights]);
});

// ---- Transformer layers ----

const child = (m: Bound, name: string): Instance => { const value = m.raw(name); if (!(value instanceof Instance)) return m.g.stop(`${name} of a Transformer layer is not known`); return value; };
function apply(g: Tracer, m: Bound, name: string, x: Tensor): Tensor {
  const made = g.call(child(m, name), x);
  return made instanceof Tensor ? made : g.stop(`${name} gives no tensor`);
}
const bound = (g: Tracer, instance: Instance): Bound => g.moduleArguments(instance);
function activation(g: Tracer, m: Bound, x: Tensor): Tensor {
  const given = m.raw('activation');
  if (typeof given === 'string') return g.op(given, x);
  if (given === undefined || given === null) return g.op('relu', x);
  const made = g.call(given, x);
  return made instanceof Tensor ? made : g.stop('the activation of a Transformer layer is not known');
}
const add = (g: Tracer, x: Tensor, y: Tensor): Tensor => elementwise(g, 'Add', x, y);
const feedForward = (g: Tracer, m: Bound, x: Tensor): Tensor => apply(g, m, 'linear2', activation(g, m, apply(g, m, 'linear1', x)));

defineModule('TransformerEncoderLayer', 'src, src_mask=None, src_key_padding_mask=None, is_causal=False', (g, m, a) => {
  const attend = (x: Tensor): Tensor => selfOrCross(g, bound(g, child(m, 'self_attn')), x, x, x, a.optional('src_key_padding_mask'), a.optional('src_mask'), a.flag('is_causal') && !a.given('src_mask')).output;
  let x = a.tensor('src');
  if (m.flag('norm_first')) {
    x = add(g, x, attend(apply(g, m, 'norm1', x)));
    return add(g, x, feedForward(g, m, apply(g, m, 'norm2', x)));
  }
  x = apply(g, m, 'norm1', add(g, x, attend(x)));
  return apply(g, m, 'norm2', add(g, x, feedForward(g, m, x)));
});
defineModule('TransformerDecoderLayer', 'tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False', (g, m, a) => {
  const memory = a.tensor('memory');
  const attend = (x: Tensor): Tensor => selfOrCross(g, bound(g, child(m, 'self_attn')), x, x, x, a.optional('tgt_key_padding_mask'), a.optional('tgt_mask'), a.flag('tgt_is_causal') && !a.given('tgt_mask')).output;
  const look = (x: Tensor): Tensor => selfOrCross(g, bound(g, child(m, 'multihead_attn')), x, memory, memory, a.optional('memory_key_padding_mask'), a.optional('memory_mask'), false).output;
  let x = a.tensor('tgt');
  if (m.flag('norm_first')) {
    x = add(g, x, attend(apply(g, m, 'norm1', x)));
    x = add(g, x, look(apply(g, m, 'norm2', x)));
    return add(g, x, feedForward(g, m, apply(g, m, 'norm3', x)));
  }
  x = apply(g, m, 'norm1', add(g, x, attend(x)));
  x = apply(g, m, 'norm2', add(g, x, look(x)));
  return apply(g, m, 'norm3', add(g, x, feedForward(g, m, x)));
});
function layers(m: Bound): Instance[] {
  const list = m.raw('layers');
  return list instanceof Instance ? [...list.modules.values()].filter((each): each is Instance => each instanceof Instance) : m.g.stop('the layers of a Transformer are not known');
}
const keywords = (pairs: readonly (readonly [string, Value | undefined])[]): ReadonlyMap<string, Value> => new Map(pairs.filter((pair): pair is readonly [string, Value] => pair[1] !== undefined && pair[1] !== null));
defineModule('TransformerEncoder', 'src, mask=None, src_key_padding_mask=None, is_causal=None', (g, m, a) => {
  let x: Value = a.tensor('src');
  for (const layer of layers(m)) x = g.callWith(layer, [x], keywords([['src_mask', a.raw('mask')], ['src_key_padding_mask', a.raw('src_key_padding_mask')]]));
  return m.given('norm') ? g.call(m.raw('norm')!, x) : x;
});
defineModule('TransformerDecoder', 'tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False', (g, m, a) => {
  let x: Value = a.tensor('tgt');
  const passed = ['tgt_mask', 'memory_mask', 'tgt_key_padding_mask', 'memory_key_padding_mask'].map((name) => [name, a.raw(name)] as const);
  for (const layer of layers(m)) x = g.callWith(layer, [x, a.tensor('memory')], keywords(passed));
  return m.given('norm') ? g.call(m.raw('norm')!, x) : x;
});
defineModule('Transformer', 'src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None', (g, m, a) => {
  const memory = g.callWith(child(m, 'encoder'), [a.tensor('src')], keywords([['mask', a.raw('src_mask')], ['src_key_padding_mask', a.raw('src_key_padding_mask')]]));
  return g.callWith(child(m, 'decoder'), [a.tensor('tgt'), memory], keywords(['tgt_mask', 'memory_mask', 'tgt_key_padding_mask', 'memory_key_padding_mask'].map((name) => [name, a.raw(name)] as const)));
});
define('torch.nn.Transformer.generate_square_subsequent_mask Transformer.generate_square_subsequent_mask', 'sz', (g, a) => additive(g, cast(g, causal(g, a.whole('sz'), a.whole('sz')), 'BOOL')));
