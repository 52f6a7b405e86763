/** Elementwise arithmetic, comparisons, logic and functions of one number. */
import type { OnnxType } from '../../../kernels/graph/onnx-types';
import { Tensor, type Value } from '../../python/values/values';
import { asNumber } from '../../python/evaluation/iteration';
import { define } from '../registry';
import type { Tracer } from '../tracer';
import { isFloat, promote, typeNamed } from '../types';
import { broadcast, cast, float, same, scalar } from './basic';
import { complexBinary } from './complex';
import { matmul } from './linear';

const plain = (value: Value): boolean => !(value instanceof Tensor) || (value.data !== null && value.shape?.length === 0 && value.traced === null);
const tensorOf = (g: Tracer, value: Value): Tensor => g.asTensor(value) ?? g.stop('an operand is not known');
/** A number or a tensor without dimensions widens another one only by its kind. */
const weak = (g: Tracer, value: Value, tensor: Tensor): boolean => plain(value) || g.dims(tensor).length === 0;

/** Both operands in one type. */
export function aligned(g: Tracer, a: Value, b: Value, least?: OnnxType): { x: Tensor; y: Tensor; type: OnnxType } {
  const [x, y] = [tensorOf(g, a), tensorOf(g, b)];
  let type = promote(g.type(x), g.type(y), weak(g, a, x), weak(g, b, y));
  if (least && isFloat(least) && !isFloat(type)) type = least;
  return { x: cast(g, x, type), y: cast(g, y, type), type };
}
export function elementwise(g: Tracer, op: string, a: Value, b: Value, least?: OnnxType): Tensor {
  const { x, y, type } = aligned(g, a, b, least);
  return g.emit(op, [x, y], {}, { type, dims: broadcast(g, g.dims(x), g.dims(y)) });
}
const isZero = (value: Value): boolean => asNumber(value) === 0;
const isOne = (value: Value): boolean => asNumber(value) === 1;

export function combine(g: Tracer, operator: string, a: Value, b: Value): Tensor {
  if ([a, b].some((side) => side instanceof Tensor && g.isComplex(side))) return complexBinary(g, operator, tensorOf(g, a), tensorOf(g, b));
  switch (operator) {
    case '+': return isZero(a) && b instanceof Tensor ? b : elementwise(g, boolean(g, a, b) ? 'Or' : 'Add', a, b);
    case '-': return elementwise(g, 'Sub', a, b);
    case '*': return isOne(b) && a instanceof Tensor ? a : boolean(g, a, b) ? elementwise(g, 'And', a, b) : elementwise(g, 'Mul', a, b);
    case '/': return elementwise(g, 'Div', a, b, 'F32');
    case '//': return floorDivide(g, a, b);
    case '%': return modulo(g, a, b);
    case '**': return power(g, a, b);
    case '@': return matmul(g, tensorOf(g, a), tensorOf(g, b));
    case '&': case '|': case '^': return logic(g, operator, a, b);
    default: return g.stop(`the operator ${operator} on tensors is not traced`);
  }
}
const boolean = (g: Tracer, a: Value, b: Value): boolean => [a, b].every((side) => (side instanceof Tensor ? g.type(side) === 'BOOL' : typeof side === 'boolean'));

function floorDivide(g: Tracer, a: Value, b: Value): Tensor {
  const { x, y, type } = aligned(g, a, b);
  const dims = broadcast(g, g.dims(x), g.dims(y));
  if (isFloat(type)) return same(g, 'Floor', g.emit('Div', [x, y], {}, { type, dims }));
  // ONNX divides towards zero.
  const rest = g.emit('Mod', [x, y], {}, { type, dims });
  return g.emit('Div', [g.emit('Sub', [x, rest], {}, { type, dims }), y], {}, { type, dims });
}
function modulo(g: Tracer, a: Value, b: Value): Tensor {
  const { x, y, type } = aligned(g, a, b);
  const dims = broadcast(g, g.dims(x), g.dims(y));
  if (!isFloat(type)) return g.emit('Mod', [x, y], {}, { type, dims });
  const times = same(g, 'Floor', g.emit('Div', [x, y], {}, { type, dims }));
  return g.emit('Sub', [x, g.emit('Mul', [times, y], {}, { type, dims })], {}, { type, dims });
}
function power(g: Tracer, a: Value, b: Value): Tensor {
  const exponent = asNumber(b);
  if (a instanceof Tensor && exponent === 2) return elementwise(g, 'Mul', a, a);
  if (a instanceof Tensor && exponent === 0.5) return same(g, 'Sqrt', float(g, a));
  return elementwise(g, 'Pow', a, b, typeof exponent === 'number' && Number.isInteger(exponent) && exponent >= 0 ? undefined : 'F32');
}
function logic(g: Tracer, operator: '&' | '|' | '^', a: Value, b: Value): Tensor {
  const { x, y, type } = aligned(g, a, b);
  const dims = broadcast(g, g.dims(x), g.dims(y));
  if (type === 'BOOL') return g.emit({ '&': 'And', '|': 'Or', '^': 'Xor' }[operator], [x, y], {}, { type, dims });
  return g.emit({ '&': 'BitwiseAnd', '|': 'BitwiseOr', '^': 'BitwiseXor' }[operator], [x, y], {}, { type, dims });
}

export function negate(g: Tracer, operator: string, value: Tensor): Tensor {
  if (operator === '+') return value;
  if (operator === '-') return same(g, 'Neg', g.type(value) === 'BOOL' ? cast(g, value, 'I64') : value);
  if (operator === '~' && isFloat(g.type(value))) return g.stop('~ of a tensor that is not whole');
  if (operator === '~') return same(g, g.type(value) === 'BOOL' ? 'Not' : 'BitwiseNot', value);
  return g.stop(`the operator ${operator} on a tensor is not traced`);
}

const COMPARE: Readonly<Record<string, string>> = { '==': 'Equal', '<': 'Less', '<=': 'LessOrEqual', '>': 'Greater', '>=': 'GreaterOrEqual' };
export function compareTensors(g: Tracer, operator: string, a: Value, b: Value): Tensor {
  const { x: p, y: q, type } = aligned(g, a, b);
  const dims = broadcast(g, g.dims(p), g.dims(q));
  const [x, y] = type === 'BOOL' && operator !== '==' && operator !== '!=' ? [cast(g, p, 'I64'), cast(g, q, 'I64')] : [p, q];
  if (operator === '!=') return g.emit('Not', [g.emit('Equal', [x, y], {}, { type: 'BOOL', dims })], {}, { type: 'BOOL', dims });
  const op = COMPARE[operator];
  return op ? g.emit(op, [x, y], {}, { type: 'BOOL', dims }) : g.stop(`the comparison ${operator} of tensors is not traced`);
}

// ---- functions and methods ----

const scaled = (g: Tracer, other: Value, alpha: Value | undefined): Value => (alpha === undefined || alpha === null || isOne(alpha) ? other : combine(g, '*', tensorOf(g, other), alpha));
define('add', 'input, other, alpha=1', (g, a) => combine(g, '+', a.tensor('input'), scaled(g, a.raw('other') ?? null, a.raw('alpha'))));
define('sub subtract', 'input, other, alpha=1', (g, a) => combine(g, '-', a.raw('input') ?? null, scaled(g, a.raw('other') ?? null, a.raw('alpha'))));
define('rsub', 'input, other', (g, a) => combine(g, '-', a.raw('other') ?? null, a.tensor('input')));
define('mul multiply', 'input, other', (g, a) => combine(g, '*', a.raw('input') ?? null, a.raw('other') ?? null));
define('div divide true_divide', 'input, other, rounding_mode=None', (g, a) => {
  const mode = a.text('rounding_mode', '');
  if (mode === 'floor') return combine(g, '//', a.raw('input') ?? null, a.raw('other') ?? null);
  if (mode !== 'trunc') return combine(g, '/', a.raw('input') ?? null, a.raw('other') ?? null);
  const { type } = aligned(g, a.raw('input') ?? null, a.raw('other') ?? null);
  return isFloat(type) ? truncate(g, elementwise(g, 'Div', a.raw('input') ?? null, a.raw('other') ?? null)) : elementwise(g, 'Div', a.raw('input') ?? null, a.raw('other') ?? null);
});
const truncate = (g: Tracer, x: Tensor): Tensor => elementwise(g, 'Mul', same(g, 'Sign', x), same(g, 'Floor', same(g, 'Abs', x)));
define('trunc fix', 'input', (g, a) => truncate(g, a.tensor('input')));
define('floor_divide', 'input, other', (g, a) => combine(g, '//', a.raw('input') ?? null, a.raw('other') ?? null));
define('remainder', 'input, other', (g, a) => combine(g, '%', a.raw('input') ?? null, a.raw('other') ?? null));
define('pow', 'input, exponent', (g, a) => combine(g, '**', a.raw('input') ?? null, a.raw('exponent') ?? null));
define('addcmul', 'input, tensor1, tensor2, value=1', (g, a) => combine(g, '+', a.tensor('input'), scaled(g, combine(g, '*', a.tensor('tensor1'), a.tensor('tensor2')), a.raw('value'))));
define('lerp', 'input, end, weight', (g, a) => combine(g, '+', a.tensor('input'), combine(g, '*', combine(g, '-', a.tensor('end'), a.tensor('input')), a.raw('weight') ?? null)));
define('maximum fmax', 'input, other', (g, a) => elementwise(g, 'Max', a.tensor('input'), a.tensor('other')));
define('minimum fmin', 'input, other', (g, a) => elementwise(g, 'Min', a.tensor('input'), a.tensor('other')));
for (const [name, operator] of [['eq', '=='], ['ne', '!='], ['lt', '<'], ['le', '<='], ['gt', '>'], ['ge', '>='], ['greater', '>'], ['less', '<'], ['greater_equal', '>='], ['less_equal', '<='], ['not_equal', '!=']] as const) {
  define(name, 'input, other', (g, a) => compareTensors(g, operator, a.tensor('input'), a.raw('other') ?? null));
}
for (const [name, operator] of [['logical_and', '&'], ['logical_or', '|'], ['logical_xor', '^']] as const) {
  define(name, 'input, other', (g, a) => combine(g, operator, cast(g, a.tensor('input'), 'BOOL'), cast(g, a.tensor('other'), 'BOOL')));
}
for (const [name, operator] of [['bitwise_and', '&'], ['bitwise_or', '|'], ['bitwise_xor', '^']] as const) define(name, 'input, other', (g, a) => combine(g, operator, a.tensor('input'), a.raw('other') ?? null));
define('logical_not', 'input', (g, a) => same(g, 'Not', cast(g, a.tensor('input'), 'BOOL')));
define('bitwise_not', 'input', (g, a) => negate(g, '~', a.tensor('input')));
define('neg negative', 'input', (g, a) => negate(g, '-', a.tensor('input')));

/** Functions of one real number that ONNX has under another name. */
const REAL: Readonly<Record<string, string>> = {
  exp: 'Exp', log: 'Log', sqrt: 'Sqrt', sin: 'Sin', cos: 'Cos', tan: 'Tan', asin: 'Asin', acos: 'Acos', atan: 'Atan', arcsin: 'Asin', arccos: 'Acos', arctan: 'Atan', sinh: 'Sinh', cosh: 'Cosh', asinh: 'Asinh', acosh: 'Acosh',
  atanh: 'Atanh', arctanh: 'Atanh', erf: 'Erf', reciprocal: 'Reciprocal', sigmoid: 'Sigmoid', expit: 'Sigmoid', tanh: 'Tanh', floor: 'Floor', ceil: 'Ceil', round: 'Round',
};
for (const [name, op] of Object.entries(REAL)) {
  define(name, 'input', (g, a) => {
    const x = a.tensor('input');
    return !isFloat(g.type(x)) && /^(floor|ceil|round)$/.test(name) ? x : same(g, op, float(g, x));
  });
}
define('abs absolute', 'input', (g, a) => { const x = a.tensor('input'); return g.isComplex(x) ? g.op('complex_abs', x) : same(g, 'Abs', x); });
define('sign sgn', 'input', (g, a) => same(g, 'Sign', a.tensor('input')));
define('square', 'input', (g, a) => elementwise(g, 'Mul', a.tensor('input'), a.tensor('input')));
define('rsqrt', 'input', (g, a) => same(g, 'Reciprocal', same(g, 'Sqrt', float(g, a.tensor('input')))));
define('expm1', 'input', (g, a) => elementwise(g, 'Sub', same(g, 'Exp', float(g, a.tensor('input'))), scalar(g, 1)));
define('log1p', 'input', (g, a) => same(g, 'Log', elementwise(g, 'Add', float(g, a.tensor('input')), scalar(g, 1))));
define('log2', 'input', (g, a) => elementwise(g, 'Mul', same(g, 'Log', float(g, a.tensor('input'))), scalar(g, 1 / Math.LN2)));
define('log10', 'input', (g, a) => elementwise(g, 'Mul', same(g, 'Log', float(g, a.tensor('input'))), scalar(g, 1 / Math.LN10)));
define('exp2', 'input', (g, a) => elementwise(g, 'Pow', scalar(g, 2), float(g, a.tensor('input'))));
define('frac', 'input', (g, a) => elementwise(g, 'Sub', a.tensor('input'), truncate(g, a.tensor('input'))));
define('isnan', 'input', (g, a) => g.emit('IsNaN', [float(g, a.tensor('input'))], {}, { type: 'BOOL', dims: g.dims(a.tensor('input')) }));
define('isinf', 'input', (g, a) => g.emit('IsInf', [float(g, a.tensor('input'))], {}, { type: 'BOOL', dims: g.dims(a.tensor('input')) }));
define('isfinite', 'input', (g, a) => g.op('logical_not', g.op('logical_or', g.op('isnan', a.tensor('input')), g.op('isinf', a.tensor('input')))));
define('nan_to_num', 'input, nan=0.0, posinf=None, neginf=None', (g, a) => {
  const x = a.tensor('input');
  return g.op('clamp', g.op('where', g.op('isnan', x), scalar(g, a.number('nan', 0)), x), scalar(g, a.number('neginf', -3.4028234663852886e38)), scalar(g, a.number('posinf', 3.4028234663852886e38)));
});
define('atan2 arctan2', 'input, other', (g, a) => {
  // Quadrants by hand: atan(y / x), moved by pi where x is negative.
  const [y, x] = [a.tensor('input'), a.tensor('other')];
  const base = same(g, 'Atan', elementwise(g, 'Div', y, x));
  const shift = g.op('where', g.op('lt', y, scalar(g, 0)), scalar(g, -Math.PI), scalar(g, Math.PI));
  return g.op('where', g.op('lt', x, scalar(g, 0)), elementwise(g, 'Add', base, shift), base);
});
define('clamp clip', 'input, min=None, max=None', (g, a) => {
  let x = a.tensor('input');
  if (a.given('min')) x = elementwise(g, 'Max', x, a.raw('min')!);
  if (a.given('max')) x = elementwise(g, 'Min', x, a.raw('max')!);
  return x;
});
define('clamp_min', 'input, min', (g, a) => elementwise(g, 'Max', a.tensor('input'), a.raw('min')!));
define('clamp_max', 'input, max', (g, a) => elementwise(g, 'Min', a.tensor('input'), a.raw('max')!));
define('logit', 'input, eps=None', (g, a) => { const x = a.given('eps') ? g.op('clamp', a.tensor('input'), scalar(g, a.number('eps')), scalar(g, 1 - a.number('eps'))) : a.tensor('input'); return same(g, 'Log', elementwise(g, 'Div', x, elementwise(g, 'Sub', scalar(g, 1), x))); });

// ---- types ----

/** Casts; all real types are one here, see types.ts. */
export function toType(g: Tracer, x: Tensor, dtype: string): Tensor {
  const type = typeNamed(dtype);
  if (type === undefined) return g.stop(`a tensor of ${dtype} is not traced`);
  return type === 'complex' ? (g.isComplex(x) ? x : g.op('complex', float(g, x), elementwise(g, 'Mul', float(g, x), scalar(g, 0)))) : cast(g, x, type);
}
for (const name of ['float', 'double', 'half', 'bfloat16', 'long', 'int', 'short', 'bool']) define(`Tensor.${name}`, 'input, memory_format=None', (g, a) => toType(g, a.tensor('input'), name));
define('Tensor.to', 'input, *args, dtype=None, other=None, **kwargs', (g, a) => {
  const name = a.dtype();
  const x = name === null ? a.tensor('input') : toType(g, a.tensor('input'), name);
  return a.given('other') ? cast(g, x, g.type(a.tensor('other'))) : toArgument(g, x, a.raw('args'));
});
define('Tensor.type', 'input, dtype=None, non_blocking=False', (g, a) => { const name = a.dtype(); return name === null ? 'torch.FloatTensor' : toType(g, a.tensor('input'), name); });
define('Tensor.type_as', 'input, other', (g, a) => cast(g, a.tensor('input'), g.type(a.tensor('other'))));
function toArgument(g: Tracer, x: Tensor, args: Value | undefined): Tensor {
  const items = args && typeof args === 'object' && 'items' in args ? args.items as readonly Value[] : [];
  for (const item of items) {
    if (item instanceof Tensor) return cast(g, x, g.type(item));
    if (typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string' && typeNamed(item.name) !== undefined && item.name.startsWith('torch.')) return toType(g, x, item.name);
  }
  return x;
}
