/** The little of numpy that constructors use: products, logarithms, linspace, arrays as shapes. */
import { Namespace, Opaque, PyFloat, PyList, Tensor, UnknownValue, type Value } from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import { binary } from '../evaluation/operators';
import { builtinNames } from './builtins';
import { math } from './math';
import { builtin } from './support';
import { tensorFunctions } from './tensors';
import { builtinTypes } from './types';
import type { Builtin } from '../values/values';

/** A function of one number, or of each element. */
const elementwise = (name: string, compute: (x: number) => number): Builtin => builtin(name, (m, args, site) => {
  const [value] = args.positional;
  const number = value === undefined ? undefined : asNumber(value);
  if (number !== undefined) return new PyFloat(compute(number));
  if (value instanceof Tensor) return new Tensor(value.shape, site, value.data?.map(compute) ?? null);
  return value instanceof UnknownValue ? value : m.unknown(`${name}(…) of something that is not known`);
});
const whole = new Set(['int', 'int8', 'int16', 'int32', 'int64', 'int_', 'uint8', 'intp']);

const members: Readonly<Record<string, Value>> = {
  prod: builtin('prod', (m, args) => {
    const [source] = args.positional;
    if (source instanceof Tensor) return source.data ? (source.whole ? source.data.reduce((a, b) => a * b, 1) : new PyFloat(source.data.reduce((a, b) => a * b, 1))) : m.unknown('the product of an array');
    const sequence = valuesOf(m, source ?? null);
    if (sequence.rest !== undefined) return m.unknown('prod(…) of something that is not known');
    let total: Value = 1;
    for (const item of sequence.items) total = binary(m, '*', total, item);
    return total;
  }),
  log2: elementwise('log2', Math.log2), log: elementwise('log', Math.log), log10: elementwise('log10', Math.log10), sqrt: elementwise('sqrt', Math.sqrt), exp: elementwise('exp', Math.exp), ceil: elementwise('ceil', Math.ceil), floor: elementwise('floor', Math.floor),
  round: elementwise('round', Math.round), abs: elementwise('abs', Math.abs), sin: elementwise('sin', Math.sin), cos: elementwise('cos', Math.cos),
  array: tensorFunctions.get('tensor')!, asarray: tensorFunctions.get('tensor')!, ndarray: builtinTypes.bytes, newaxis: null, pi: math.find('pi')!, inf: math.find('inf')!,
  power: builtin('power', (m, args) => binary(m, '**', args.positional[0] ?? null, args.positional[1] ?? null)),
  cumsum: builtin('cumsum', (m, args, site) => { let total = 0; const items = [...valuesOf(m, args.positional[0] ?? null).items].map(asNumber); return items.includes(undefined) ? new Tensor([items.length], site) : new Tensor([items.length], site, items.map((n) => (total += n!)), true); }),
  max: builtinNames.get('max')!, min: builtinNames.get('min')!, maximum: builtinNames.get('max')!, minimum: builtinNames.get('min')!,
  sum: builtin('sum', (m, args, site) => { const [source] = args.positional; return source instanceof Tensor && source.data ? (source.whole ? source.data.reduce((a, b) => a + b, 0) : new PyFloat(source.data.reduce((a, b) => a + b, 0))) : (builtinNames.get('sum') as Builtin).call(m, args, site); }),
};

export const numpy: Namespace = new Namespace('numpy', (name) => {
  if (Object.hasOwn(members, name)) return members[name];
  if (whole.has(name)) return builtinTypes.int;
  if (name === 'float32' || name === 'float64' || name === 'float_') return builtinTypes.float;
  const tensor = tensorFunctions.get(name);
  if (tensor !== undefined) return tensor;
  if (name === 'random') return numpyRandom;
  return new Opaque(`numpy.${name}`);
});
const numpyRandom = new Namespace('numpy.random', (name) => builtin(name, (m, args) => (args.positional[0] instanceof PyList ? m.unknown('a random choice') : m.unknown('a random number'))));
