/** LSTM, GRU and RNN as the operators of ONNX, which order gates and biases in their own way; cells as what they are made of. */
import type { Tensor} from '../../python/values/values';
import { PyTuple, type Value } from '../../python/values/values';
import { type Whole } from '../../python/values/symbolic';
import type { Bound } from '../bound';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { concat, expand, filled, float, rank, reshape, same, scalar, slice, squeeze, swap, transpose, unsqueeze } from './basic';
import { elementwise } from './arithmetic';
import { linear } from './linear';

/** Order of PyTorch's gates in ONNX's: i f g o -> i o f c, r z n -> z r h. */
const GATES: Readonly<Record<'LSTM' | 'GRU' | 'RNN', readonly number[]>> = { LSTM: [0, 3, 1, 2], GRU: [1, 0, 2], RNN: [0] };

function reordered(g: Tracer, weight: Tensor, op: keyof typeof GATES, hidden: number): Tensor {
  const order = GATES[op];
  return order.length === 1 ? weight : concat(g, order.map((gate) => slice(g, weight, 0, gate * hidden, (gate + 1) * hidden)), 0);
}
function run(g: Tracer, op: 'LSTM' | 'GRU' | 'RNN', m: Bound, a: Bound): Value {
  if (m.number('proj_size', 0) > 0) return g.stop('an LSTM with a projection is not traced');
  const hidden = m.number('hidden_size');
  const layers = m.number('num_layers', 1);
  const both = m.flag('bidirectional');
  const ways = both ? 2 : 1;
  const given = a.tensor('input');
  const unbatched = rank(g, given) === 2;
  const first = m.flag('batch_first');
  let x = float(g, unbatched ? unsqueeze(g, given, [1]) : first ? swap(g, given, 0, 1) : given);
  const [t, n] = g.dims(x) as [Whole, Whole];
  const state = a.raw('hx') ?? null;
  const [h0, c0] = state instanceof PyTuple ? [state.items[0] as Tensor, state.items[1] as Tensor] : [state as Tensor | null, null];
  const initial = (tensor: Tensor | null, layer: number): Tensor | null => (tensor ? slice(g, unbatched ? unsqueeze(g, tensor, [1]) : tensor, 0, layer * ways, (layer + 1) * ways) : null);
  const [lastH, lastC]: [Tensor[], Tensor[]] = [[], []];
  for (let layer = 0; layer < layers; layer += 1) {
    const suffixes = both ? [`l${layer}`, `l${layer}_reverse`] : [`l${layer}`];
    const stacked = (name: string): Tensor => concat(g, suffixes.map((suffix) => unsqueeze(g, reordered(g, m.tensor(`${name}_${suffix}`), op, hidden), [0])), 0);
    const bias = m.flag('bias', true) ? concat(g, [stacked('bias_ih'), stacked('bias_hh')], 1) : null;
    const words = Array<string>(ways).fill(m.text('nonlinearity', 'tanh') === 'relu' ? 'Relu' : 'Tanh');
    const dims = [ways, n, hidden];
    const outputs = g.emitAll(op, [x, stacked('weight_ih'), stacked('weight_hh'), bias, null, initial(h0, layer), ...(op === 'LSTM' ? [initial(c0, layer)] : [])], {
      hidden_size: { int: hidden }, direction: { text: both ? 'bidirectional' : 'forward' },
      // PyTorch applies the reset gate after the product.
      ...(op === 'GRU' ? { linear_before_reset: { int: 1 } } : {}), ...(op === 'RNN' ? { activations: { texts: words } } : {}),
    }, [{ type: 'F32', dims: [t, ways, n, hidden] }, { type: 'F32', dims }, ...(op === 'LSTM' ? [{ type: 'F32' as const, dims }] : [])]);
    x = reshape(g, transpose(g, outputs[0]!, [0, 2, 1, 3]), [t, n, ways * hidden]);
    lastH.push(outputs[1]!);
    if (outputs[2]) lastC.push(outputs[2]);
  }
  const joined = (parts: Tensor[]): Tensor => { const all = concat(g, parts, 0); return unbatched ? squeeze(g, all, [1]) : all; };
  const output = unbatched ? squeeze(g, x, [1]) : first ? swap(g, x, 0, 1) : x;
  return new PyTuple([output, op === 'LSTM' ? new PyTuple([joined(lastH), joined(lastC)]) : joined(lastH)]);
}
for (const op of ['LSTM', 'GRU', 'RNN'] as const) defineModule(op, 'input, hx=None', (g, m, a) => run(g, op, m, a));

const add = (g: Tracer, x: Tensor, y: Tensor): Tensor => elementwise(g, 'Add', x, y);
const mul = (g: Tracer, x: Tensor, y: Tensor): Tensor => elementwise(g, 'Mul', x, y);
const gates = (g: Tracer, x: Tensor, weight: Tensor, bias: Tensor | null, hidden: number, count: number): Tensor[] => {
  const made = linear(g, x, weight, bias);
  return Array.from({ length: count }, (_, i) => slice(g, made, rank(g, made) - 1, i * hidden, (i + 1) * hidden));
};
const start = (g: Tracer, m: Bound, x: Tensor): Tensor => expand(g, filled(g, [1], 0, 'F32'), [...g.dims(x).slice(0, -1), m.number('hidden_size')]);
defineModule('LSTMCell', 'input, hx=None', (g, m, a) => {
  const x = a.tensor('input');
  const hidden = m.number('hidden_size');
  const state = a.raw('hx');
  const [h, c] = state instanceof PyTuple ? state.items as [Tensor, Tensor] : [start(g, m, x), start(g, m, x)];
  const sums = gates(g, x, m.tensor('weight_ih'), m.optional('bias_ih'), hidden, 4).map((part, i) => add(g, part, gates(g, h, m.tensor('weight_hh'), m.optional('bias_hh'), hidden, 4)[i]!));
  const [i, f, cell, o] = [same(g, 'Sigmoid', sums[0]!), same(g, 'Sigmoid', sums[1]!), same(g, 'Tanh', sums[2]!), same(g, 'Sigmoid', sums[3]!)];
  const next = add(g, mul(g, f, c), mul(g, i, cell));
  return new PyTuple([mul(g, o, same(g, 'Tanh', next)), next]);
});
defineModule('GRUCell', 'input, hx=None', (g, m, a) => {
  const x = a.tensor('input');
  const h = a.optional('hx') ?? start(g, m, x);
  const hidden = m.number('hidden_size');
  const [ir, iz, inn] = gates(g, x, m.tensor('weight_ih'), m.optional('bias_ih'), hidden, 3) as [Tensor, Tensor, Tensor];
  const [hr, hz, hn] = gates(g, h, m.tensor('weight_hh'), m.optional('bias_hh'), hidden, 3) as [Tensor, Tensor, Tensor];
  const [r, z] = [same(g, 'Sigmoid', add(g, ir, hr)), same(g, 'Sigmoid', add(g, iz, hz))];
  const n = same(g, 'Tanh', add(g, inn, mul(g, r, hn)));
  return add(g, mul(g, elementwise(g, 'Sub', scalar(g, 1), z), n), mul(g, z, h));
});
defineModule('RNNCell', 'input, hx=None', (g, m, a) => {
  const x = a.tensor('input');
  const h = a.optional('hx') ?? start(g, m, x);
  const sum = add(g, linear(g, x, m.tensor('weight_ih'), m.optional('bias_ih')), linear(g, h, m.tensor('weight_hh'), m.optional('bias_hh')));
  return same(g, m.text('nonlinearity', 'tanh') === 'relu' ? 'Relu' : 'Tanh', sum);
});
define('torch.nn.utils.rnn.pack_padded_sequence torch.nn.utils.rnn.pad_packed_sequence', '*args, **kwargs', (g) => g.stop('packed sequences are not traced'));
