/** Python's arithmetic and comparisons on free dimensions. */
import { asNumber } from '../python/evaluation/iteration';
import type { Machine } from '../python/evaluation/machine';
import { PyFloat, type Value } from '../python/values/values';
import { exactQuotient, floorQuotient, hintOf, minus, plus, remainder, sameWhole, Symbolic, times, wholeText, type Whole } from '../python/values/symbolic';
import { asWhole } from './bound';
import type { Tracer } from './tracer';

/** Undefined for what is no number at all. */
export function sizeArithmetic(g: Tracer, _machine: Machine, operator: string, a: Value, b: Value): Value | undefined {
  const [x, y] = [asWhole(a), asWhole(b)];
  const real = a instanceof PyFloat || b instanceof PyFloat;
  if (x === undefined || y === undefined || (real && operator !== '/' && operator !== '//')) {
    const numeric = [a, b].every((side) => side instanceof Symbolic || asNumber(side) !== undefined);
    return numeric ? g.fix((a instanceof Symbolic ? a : b) as Symbolic) : undefined;
  }
  switch (operator) {
    case '+': return plus(x, y);
    case '-': return minus(x, y);
    case '*': return times(x, y);
    case '//': return floorQuotient(x, y);
    case '%': return remainder(x, y);
    case '/': { const whole = exactQuotient(x, y); return typeof whole === 'number' ? new PyFloat(whole) : whole !== undefined ? whole : g.fix((a instanceof Symbolic ? a : b) as Symbolic); }
    case '**': return y === 2 ? times(x, x) : y === 1 ? x : g.fix((a instanceof Symbolic ? a : b) as Symbolic);
    default: return undefined;
  }
}

/** Decided by the polynomials where they can, else by the example values, and then it is said. */
export function compareSizes(g: Tracer, operator: string, a: Value, b: Value): boolean | undefined {
  const [x, y] = [a, b].map((side): Whole | undefined => (side instanceof Symbolic ? side : asNumber(side)));
  if (x === undefined || y === undefined) return operator === '==' ? false : operator === '!=' ? true : undefined;
  if (operator === '==' || operator === '!=') {
    const same = sameWhole(x, y) || (hintOf(x) === hintOf(y) && (typeof x === 'number' || typeof y === 'number'));
    if (!sameWhole(x, y)) g.guard(`${wholeText(x)} ${same ? '==' : '!='} ${wholeText(y)}`);
    return same === (operator === '==');
  }
  const [p, q] = [hintOf(x), hintOf(y)];
  const held = operator === '<' ? p < q : operator === '<=' ? p <= q : operator === '>' ? p > q : operator === '>=' ? p >= q : undefined;
  if (held !== undefined) g.guard(`${wholeText(x)} ${held ? operator : { '<': '>=', '<=': '>', '>': '<=', '>=': '<' }[operator]} ${wholeText(y)}`);
  return held;
}
