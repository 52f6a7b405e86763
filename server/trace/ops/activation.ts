/** Activations, as functions and as modules. Definitions are those of the PyTorch documentation. */
import type { Tensor, Value } from '../../python/values/values';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { float, rank, same, scalar, reshape } from './basic';
import { elementwise } from './arithmetic';
import type { Bound } from '../bound';

const sub = (g: Tracer, a: Value, b: Value): Tensor => elementwise(g, 'Sub', a, b);
const mul = (g: Tracer, a: Value, b: Value): Tensor => elementwise(g, 'Mul', a, b);

/** A function of one tensor with options, and the module of the same meaning. */
function activation(names: string, moduleNames: string, options: string, run: (g: Tracer, x: Tensor, options: Bound) => Tensor): void {
  define(names, `input${options === '' ? '' : `, ${options}`}, inplace=False`, (g, a) => run(g, float(g, a.tensor('input')), a));
  if (moduleNames !== '') defineModule(moduleNames, 'input', (g, m, a) => {
    const x = a.tensor('input');
    const made = run(g, float(g, x), m);
    return m.raw('inplace') === true ? g.write(x, made) : made;
  });
}
activation('relu', 'ReLU', '', (g, x) => same(g, 'Relu', x));
define('relu', 'input, inplace=False', (g, a) => same(g, 'Relu', a.tensor('input')));
activation('relu6', 'ReLU6', '', (g, x) => same(g, 'Clip', x, {}, [scalar(g, 0), scalar(g, 6)]));
activation('gelu', 'GELU', "approximate='none'", (g, x, o) => same(g, 'Gelu', x, { approximate: { text: o.text('approximate', 'none') } }));
activation('silu swish', 'SiLU', '', (g, x) => mul(g, x, same(g, 'Sigmoid', x)));
activation('', 'Sigmoid', '', (g, x) => same(g, 'Sigmoid', x));
activation('', 'Tanh', '', (g, x) => same(g, 'Tanh', x));
activation('leaky_relu', 'LeakyReLU', 'negative_slope=0.01', (g, x, o) => same(g, 'LeakyRelu', x, { alpha: { float: o.number('negative_slope', 0.01) } }));
activation('rrelu', 'RReLU', 'lower=0.125, upper=0.3333333333333333', (g, x, o) => same(g, 'LeakyRelu', x, { alpha: { float: (o.number('lower', 1 / 8) + o.number('upper', 1 / 3)) / 2 } }));
activation('elu', 'ELU', 'alpha=1.0', (g, x, o) => same(g, 'Elu', x, { alpha: { float: o.number('alpha', 1) } }));
activation('celu', 'CELU', 'alpha=1.0', (g, x, o) => same(g, 'Celu', x, { alpha: { float: o.number('alpha', 1) } }));
activation('selu', 'SELU', '', (g, x) => same(g, 'Selu', x, { alpha: { float: 1.6732632423543772 }, gamma: { float: 1.0507009873554805 } }));
activation('hardsigmoid', 'Hardsigmoid', '', (g, x) => same(g, 'HardSigmoid', x, { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }));
activation('hardswish', 'Hardswish', '', (g, x) => same(g, 'HardSwish', x));
activation('hardtanh', 'Hardtanh', 'min_val=-1.0, max_val=1.0', (g, x, o) => same(g, 'Clip', x, {}, [scalar(g, o.number('min_val', -1)), scalar(g, o.number('max_val', 1))]));
activation('mish', 'Mish', '', (g, x) => mul(g, x, same(g, 'Tanh', same(g, 'Softplus', x))));
activation('softplus', 'Softplus', 'beta=1.0, threshold=20.0', (g, x, o) => {
  const beta = o.number('beta', 1);
  if (beta === 1) return same(g, 'Softplus', x);
  return elementwise(g, 'Div', same(g, 'Softplus', mul(g, x, scalar(g, beta))), scalar(g, beta));
});
activation('softsign', 'Softsign', '', (g, x) => same(g, 'Softsign', x));
activation('logsigmoid', 'LogSigmoid', '', (g, x) => same(g, 'Neg', same(g, 'Softplus', same(g, 'Neg', x))));
activation('tanhshrink', 'Tanhshrink', '', (g, x) => sub(g, x, same(g, 'Tanh', x)));
activation('softshrink', 'Softshrink', 'lambd=0.5', (g, x, o) => same(g, 'Shrink', x, { lambd: { float: o.number('lambd', 0.5) }, bias: { float: o.number('lambd', 0.5) } }));
activation('hardshrink', 'Hardshrink', 'lambd=0.5', (g, x, o) => same(g, 'Shrink', x, { lambd: { float: o.number('lambd', 0.5) }, bias: { float: 0 } }));
activation('threshold', 'Threshold', 'threshold, value', (g, x, o) => g.op('where', g.op('gt', x, scalar(g, o.number('threshold'))), x, scalar(g, o.number('value'))));

function softmax(g: Tracer, op: 'Softmax' | 'LogSoftmax', x: Tensor, given: Value | undefined): Tensor {
  // Without a dimension the first is taken of 0, 1 and 3 dimensions, the second of others: PyTorch's old default.
  const n = rank(g, x);
  const axis = typeof given === 'number' ? given : n === 0 || n === 1 || n === 3 ? 0 : 1;
  return same(g, op, float(g, x), { axis: { int: axis } });
}
define('softmax', 'input, dim=None, dtype=None, _stacklevel=3', (g, a) => softmax(g, 'Softmax', a.tensor('input'), a.raw('dim')));
define('log_softmax', 'input, dim=None, dtype=None, _stacklevel=3', (g, a) => softmax(g, 'LogSoftmax', a.tensor('input'), a.raw('dim')));
define('softmin', 'input, dim=None', (g, a) => softmax(g, 'Softmax', same(g, 'Neg', a.tensor('input')), a.raw('dim')));
defineModule('Softmax', 'input', (g, m, a) => softmax(g, 'Softmax', a.tensor('input'), m.raw('dim')));
defineModule('LogSoftmax', 'input', (g, m, a) => softmax(g, 'LogSoftmax', a.tensor('input'), m.raw('dim')));
defineModule('Softmin', 'input', (g, m, a) => softmax(g, 'Softmax', same(g, 'Neg', a.tensor('input')), m.raw('dim')));
defineModule('Softmax2d', 'input', (g, _, a) => softmax(g, 'Softmax', a.tensor('input'), -3));

function prelu(g: Tracer, x: Tensor, weight: Tensor): Tensor {
  const n = rank(g, x);
  const [count] = g.dims(weight);
  const slope = count === 1 || n < 2 ? reshape(g, weight, [1]) : reshape(g, weight, [count!, ...Array<number>(n - 2).fill(1)]);
  return same(g, 'PRelu', x, {}, [slope]);
}
define('prelu', 'input, weight', (g, a) => prelu(g, a.tensor('input'), a.tensor('weight')));
defineModule('PReLU', 'input', (g, m, a) => prelu(g, a.tensor('input'), m.tensor('weight')));
function glu(g: Tracer, x: Tensor, dim: number): Tensor {
  const halves = g.opWith('chunk', [x, 2], { dim }) as unknown as { items: Tensor[] };
  return mul(g, halves.items[0]!, same(g, 'Sigmoid', halves.items[1]!));
}
define('glu', 'input, dim=-1', (g, a) => glu(g, a.tensor('input'), a.number('dim', -1)));
defineModule('GLU', 'input', (g, m, a) => glu(g, a.tensor('input'), m.number('dim', -1)));

// ---- dropout: a model is traced as it is used ----

define('dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout', 'input, p=0.5, training=True, inplace=False', (g, a) => {
  if (a.raw('training') === true && a.number('p', 0.5) > 0) g.guard('dropout is left out, also where it is asked for without training');
  return a.tensor('input');
});
defineModule('Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout Identity DropPath StochasticDepth', 'input, *args', (_, __, a) => a.raw('input') ?? null);
