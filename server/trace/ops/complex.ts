/** Complex numbers as pairs of real ones in a last dimension, as far as rotary embeddings and spectral layers need them. */
import type { Tensor } from '../../python/values/values';
import { define } from '../registry';
import type { Tracer } from '../tracer';
import { broadcast, float, same, select, unsqueeze } from './basic';
import { elementwise } from './arithmetic';

/** The graph's value as it is: real, with the pair as a last dimension. */
export function asPairs(g: Tracer, x: Tensor): Tensor {
  const value = g.read(x);
  return g.builder.tensor({ name: value.name, type: value.type, dims: [...value.dims, 2], complex: false });
}
export function asComplex(g: Tracer, x: Tensor): Tensor {
  const value = g.read(x);
  if (value.dims.at(-1) !== 2) return g.stop('a complex tensor is made of pairs');
  return g.builder.tensor({ name: value.name, type: value.type, dims: value.dims.slice(0, -1), complex: true });
}
const part = (g: Tracer, x: Tensor, index: 0 | 1): Tensor => { const pairs = asPairs(g, x); return select(g, pairs, g.dims(pairs).length - 1, index); };
export const realPart = (g: Tracer, x: Tensor): Tensor => (g.isComplex(x) ? part(g, x, 0) : x);
const imaginaryPart = (g: Tracer, x: Tensor): Tensor => (g.isComplex(x) ? part(g, x, 1) : elementwise(g, 'Mul', x, g.constant('F32', [], [0])));
export function fromParts(g: Tracer, real: Tensor, imaginary: Tensor): Tensor {
  const dims = broadcast(g, g.dims(real), g.dims(imaginary));
  const pieces = [real, imaginary].map((each) => unsqueeze(g, g.op('expand', each, ...dims), [dims.length]));
  return asComplex(g, g.emit('Concat', pieces, { axis: { int: dims.length } }, { type: 'F32', dims: [...dims, 2] }));
}
export function complexBinary(g: Tracer, operator: string, a: Tensor, b: Tensor): Tensor {
  const [ar, ai, br, bi] = [realPart(g, a), imaginaryPart(g, a), realPart(g, b), imaginaryPart(g, b)];
  const [mul, add, sub] = ['Mul', 'Add', 'Sub'].map((op) => (x: Tensor, y: Tensor) => elementwise(g, op, x, y)) as [(x: Tensor, y: Tensor) => Tensor, (x: Tensor, y: Tensor) => Tensor, (x: Tensor, y: Tensor) => Tensor];
  switch (operator) {
    case '+': return fromParts(g, add(ar, br), add(ai, bi));
    case '-': return fromParts(g, sub(ar, br), sub(ai, bi));
    case '*': return fromParts(g, sub(mul(ar, br), mul(ai, bi)), add(mul(ar, bi), mul(ai, br)));
    case '/': if (!g.isComplex(b)) return fromParts(g, elementwise(g, 'Div', ar, b), elementwise(g, 'Div', ai, b));
  }
  return g.stop(`the operator ${operator} on complex tensors is not traced`);
}

define('view_as_complex', 'input', (g, a) => asComplex(g, a.tensor('input')));
define('view_as_real', 'input', (g, a) => asPairs(g, a.tensor('input')));
define('real', 'input', (g, a) => realPart(g, a.tensor('input')));
define('imag', 'input', (g, a) => imaginaryPart(g, a.tensor('input')));
define('complex', 'real, imag', (g, a) => fromParts(g, a.tensor('real'), a.tensor('imag')));
define('polar', 'abs, angle', (g, a) => fromParts(g, elementwise(g, 'Mul', a.tensor('abs'), same(g, 'Cos', float(g, a.tensor('angle')))), elementwise(g, 'Mul', a.tensor('abs'), same(g, 'Sin', float(g, a.tensor('angle'))))));
define('conj resolve_conj', 'input', (g, a) => { const x = a.tensor('input'); return g.isComplex(x) ? fromParts(g, realPart(g, x), same(g, 'Neg', imaginaryPart(g, x))) : x; });
define('complex_abs', 'input', (g, a) => { const x = a.tensor('input'); const [r, i] = [realPart(g, x), imaginaryPart(g, x)]; return same(g, 'Sqrt', elementwise(g, 'Add', elementwise(g, 'Mul', r, r), elementwise(g, 'Mul', i, i))); });
define('is_complex', 'input', (g, a) => g.isComplex(a.tensor('input')));
