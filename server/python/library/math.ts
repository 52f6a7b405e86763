/** The `math` module. */
import { PyFloat, Symbolic, UnknownValue, type Value } from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import { binary } from '../evaluation/operators';
import { builtin, namespace } from './support';

const real = (name: string, compute: (...x: number[]) => number): Value => builtin(name, (m, args) => {
  const free = args.positional.find((value) => value instanceof Symbolic);
  if (free && m.tracer) return m.tracer.fix(free);
  const numbers = args.positional.map(asNumber);
  if (numbers.includes(undefined)) return args.positional.find((value) => value instanceof UnknownValue) ?? m.unknown(`${name}(…) of something that is not known`);
  const result = compute(...(numbers as number[]));
  return Number.isNaN(result) ? m.soft('ValueError', `${name}(…) has no value`) : new PyFloat(result);
});
const whole = (name: string, compute: (...x: number[]) => number): Value => builtin(name, (m, args) => {
  const free = args.positional.find((value) => value instanceof Symbolic);
  if (free && m.tracer) return m.tracer.fix(free);
  const numbers = args.positional.map(asNumber);
  if (numbers.includes(undefined)) return args.positional.find((value) => value instanceof UnknownValue) ?? m.unknown(`${name}(…) of something that is not known`);
  const result = compute(...(numbers as number[]));
  return Number.isFinite(result) ? result : m.soft('ValueError', `${name}(…) has no value`);
});
const gcd = (a: number, b: number): number => { let [x, y] = [Math.abs(a), Math.abs(b)]; while (y) [x, y] = [y, x % y]; return x; };

export const math = namespace('math', {
  pi: new PyFloat(Math.PI), e: new PyFloat(Math.E), inf: new PyFloat(Infinity), nan: new PyFloat(NaN), tau: new PyFloat(2 * Math.PI),
  sqrt: real('sqrt', Math.sqrt), exp: real('exp', Math.exp), sin: real('sin', Math.sin), cos: real('cos', Math.cos), tan: real('tan', Math.tan), tanh: real('tanh', Math.tanh), atan: real('atan', Math.atan), radians: real('radians', (x) => (x * Math.PI) / 180),
  log: real('log', (x, base) => (base === undefined ? Math.log(x) : base === 2 ? Math.log2(x) : base === 10 ? Math.log10(x) : Math.log(x) / Math.log(base))), log2: real('log2', Math.log2), log10: real('log10', Math.log10), log1p: real('log1p', Math.log1p),
  pow: real('pow', (x, y) => x ** y!), fabs: real('fabs', Math.abs), hypot: real('hypot', Math.hypot), erf: real('erf', (x) => Math.tanh(x)), fmod: real('fmod', (x, y) => x % y!), copysign: real('copysign', (x, y) => Math.abs(x) * (Math.sign(y!) || 1)), degrees: real('degrees', (x) => (x * 180) / Math.PI),
  ceil: whole('ceil', Math.ceil), floor: whole('floor', Math.floor), trunc: whole('trunc', Math.trunc), gcd: whole('gcd', (...x) => x.reduce(gcd, 0)), lcm: whole('lcm', (...x) => x.reduce((a, b) => Math.abs(a * b) / (gcd(a, b) || 1), 1)), isqrt: whole('isqrt', (x) => Math.floor(Math.sqrt(x))),
  factorial: whole('factorial', (x) => Array.from({ length: Math.min(x, 170) }, (_, i) => i + 1).reduce((a, b) => a * b, 1)), comb: whole('comb', (n, k) => Array.from({ length: Math.min(k!, 1000) }, (_, i) => (n - i) / (i + 1)).reduce((a, b) => a * b, 1)),
  isclose: builtin('isclose', (m, args) => { const [a, b] = args.positional.map(asNumber); return a === undefined || b === undefined ? m.unknown('isclose(…)') : Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)); }),
  isinf: builtin('isinf', (_, args) => Math.abs(asNumber(args.positional[0] ?? 0) ?? 0) === Infinity), isnan: builtin('isnan', (_, args) => Number.isNaN(asNumber(args.positional[0] ?? 0) ?? 0)), isfinite: builtin('isfinite', (_, args) => Number.isFinite(asNumber(args.positional[0] ?? 0) ?? 0)),
  prod: builtin('prod', (m, args) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    if (sequence.rest !== undefined) return m.unknown('prod(…) of something that is not known');
    let total: Value = args.keywords.get('start') ?? 1;
    for (const item of sequence.items) total = binary(m, '*', total, item);
    return total;
  }),
});
