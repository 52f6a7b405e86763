/** RNN, LSTM, GRU and their cells. Gates are stacked along the first dimension: 4 in an LSTM, 3 in a GRU. */
import { dim, module, parameter, times, truth, when, type Content, type Dim, type TorchModuleSpec, type TorchParameter } from './spec';

const HEAD = 'input_size, hidden_size, num_layers=1, ';
const TAIL = 'bias=True, batch_first=False, dropout=0.0, bidirectional=False, ';
const DEVICE = 'device=None, dtype=None';

/** The tensors of one layer and direction, in the order RNNBase registers them. */
function oneDirection(suffix: string, gates: Dim, hidden: Dim, input: Dim, output: Dim, bias: unknown, projected: Dim): TorchParameter[] {
  const rows = times(gates, hidden);
  return [
    parameter(`weight_ih_${suffix}`, [rows, input]),
    parameter(`weight_hh_${suffix}`, [rows, output]),
    ...when(truth(bias), parameter(`bias_ih_${suffix}`, [rows]), parameter(`bias_hh_${suffix}`, [rows])),
    ...when(projected === null ? undefined : projected > 0, parameter(`weight_hr_${suffix}`, [projected, hidden])),
  ];
}

/** The layers past which a number of them is a typing slip and not a network. */
const MAX_LAYERS = 512;

function stacked(gatesOf: (mode: unknown) => Dim): Content {
  return (a) => {
    const gates = gatesOf(a.mode);
    const hidden = dim(a.hidden_size);
    // RNN and GRU have no proj_size in their signature: then it is 0, not unknown.
    const projected = 'proj_size' in a ? dim(a.proj_size) : 0;
    const output = projected === null ? null : projected > 0 ? projected : hidden;
    const twoWays = truth(a.bidirectional);
    const between = twoWays === undefined ? null : times(output, twoWays ? 2 : 1);
    const layers = dim(a.num_layers);
    const layer = (name: string, input: Dim): TorchParameter[] => [
      ...oneDirection(name, gates, hidden, input, output, a.bias, projected),
      ...when(twoWays, ...oneDirection(`${name}_reverse`, gates, hidden, input, output, a.bias, projected)),
    ];
    const first = layer('l0', dim(a.input_size));
    // An unknown number of layers: the first is certain, the others may exist.
    if (layers === null) return { parameters: [...first, ...when(undefined, ...layer('l*', between))] };
    const rest = Array.from({ length: Math.max(0, Math.min(layers, MAX_LAYERS) - 1) }, (_, i) => layer(`l${i + 1}`, between));
    return { parameters: layers === 0 ? [] : [...first, ...rest.flat()] };
  };
}

const cell = (gates: number): Content => (a) => {
  const rows = times(gates, a.hidden_size);
  return {
    parameters: [
      parameter('weight_ih', [rows, dim(a.input_size)]),
      parameter('weight_hh', [rows, dim(a.hidden_size)]),
      ...when(truth(a.bias), parameter('bias_ih', [rows]), parameter('bias_hh', [rows])),
    ],
  };
};

const gatesOfMode = (mode: unknown): Dim => (mode === 'LSTM' ? 4 : mode === 'GRU' ? 3 : mode === 'RNN_TANH' || mode === 'RNN_RELU' ? 1 : null);

/** One LSTMCell of torch.ao.nn.quantizable: two Linear layers, whose names quantization-aware checkpoints carry. */
const quantizableCell: Content = (a) => ({
  children: [
    { name: 'igates', spec: 'torch.nn.Linear', args: { in_features: a.input_dim, out_features: times(4, a.hidden_dim), bias: a.bias } },
    { name: 'hgates', spec: 'torch.nn.Linear', args: { in_features: a.hidden_dim, out_features: times(4, a.hidden_dim), bias: a.bias } },
  ],
});

const quantizableDirection = (name: string, input: unknown, a: Readonly<Record<string, unknown>>) => ({
  name: `${name}.cell`, spec: 'torch.ao.nn.quantizable.LSTMCell', args: { input_dim: input, hidden_dim: a.hidden_size, bias: a.bias },
});

const quantizableLstm: Content = (a) => {
  const layers = dim(a.num_layers);
  const twoWays = truth(a.bidirectional);
  const between = twoWays === undefined ? undefined : times(a.hidden_size, twoWays ? 2 : 1);
  const names = layers === null ? ['0', '*'] : Array.from({ length: Math.min(layers, MAX_LAYERS) }, (_, i) => String(i));
  return {
    children: names.flatMap((name) => {
      const input = name === '0' ? a.input_size : between ?? undefined;
      return [
        quantizableDirection(`layers.${name}.layer_fw`, input, a),
        ...when(twoWays, quantizableDirection(`layers.${name}.layer_bw`, input, a)),
      ].map((child) => (name === '*' ? { ...child, optional: true } : child));
    }),
  };
};

const role = { role: 'recurrent' as const };

export const recurrent: readonly TorchModuleSpec[] = [
  module('torch.nn.RNNBase', `mode, ${HEAD}${TAIL}proj_size=0, ${DEVICE}`, stacked(gatesOfMode), role),
  module('torch.nn.RNN', `${HEAD}nonlinearity='tanh', ${TAIL}${DEVICE}`, stacked(() => 1), role),
  module('torch.nn.LSTM', `${HEAD}${TAIL}proj_size=0, ${DEVICE}`, stacked(() => 4), role),
  module('torch.nn.GRU', `${HEAD}${TAIL}${DEVICE}`, stacked(() => 3), role),
  module('torch.nn.RNNCellBase', `input_size, hidden_size, bias, num_chunks, ${DEVICE}`, (a) => {
    const gates = dim(a.num_chunks);
    return gates === null
      ? { parameters: [parameter('weight_ih', [null, dim(a.input_size)]), parameter('weight_hh', [null, dim(a.hidden_size)]),
        ...when(truth(a.bias), parameter('bias_ih', [null]), parameter('bias_hh', [null]))] }
      : cell(gates)(a);
  }, role),
  module('torch.nn.RNNCell', `input_size, hidden_size, bias=True, nonlinearity='tanh', ${DEVICE}`, cell(1), role),
  module('torch.nn.LSTMCell', `input_size, hidden_size, bias=True, ${DEVICE}`, cell(4), role),
  module('torch.nn.GRUCell', `input_size, hidden_size, bias=True, ${DEVICE}`, cell(3), role),
  module('torch.ao.nn.quantizable.LSTMCell', `input_dim, hidden_dim, bias=True, ${DEVICE}`, quantizableCell),
  module('torch.ao.nn.quantizable.LSTM', `${HEAD}${TAIL}${DEVICE}`, quantizableLstm),
];

