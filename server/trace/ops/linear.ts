/** Products of matrices and tensors. */
import { PyList, type Tensor } from '../../python/values/values';
import { hintOf, type Whole } from '../../python/values/symbolic';
import { define, defineModule } from '../registry';
import type { Tracer } from '../tracer';
import { broadcast, cast, float, mismatch, reshape, shapeText, swap, unsqueeze } from './basic';
import { elementwise } from './arithmetic';
import { isFloat, promote } from '../types';

export function matmul(g: Tracer, a: Tensor, b: Tensor): Tensor {
  const type = promote(g.type(a), g.type(b), false, false);
  const [x, y] = [cast(g, a, type), cast(g, b, type)];
  const [p, q] = [g.dims(x), g.dims(y)];
  if (p.length === 0 || q.length === 0) return g.stop('a matrix product of a single number');
  const [inner, outer] = [p.at(-1)!, q.length === 1 ? q[0]! : q.at(-2)!];
  if (hintOf(inner) !== hintOf(outer)) mismatch(g, inner, outer, `tensors of shapes ${shapeText(p)} and ${shapeText(q)} cannot be multiplied`);
  const batch = broadcast(g, p.slice(0, -2), q.slice(0, -2));
  const dims: Whole[] = [...batch, ...(p.length > 1 ? [p.at(-2)!] : []), ...(q.length > 1 ? [q.at(-1)!] : [])];
  return g.emit('MatMul', [x, y], {}, { type, dims });
}
export function linear(g: Tracer, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const [p, q] = [g.dims(x), g.dims(weight)];
  if (q.length !== 2) return q.length === 1 ? matmul(g, x, weight) : g.stop(`a linear layer with a weight of shape ${shapeText(q)}`);
  if (hintOf(p.at(-1) ?? 0) !== hintOf(q[1]!)) mismatch(g, p.at(-1) ?? 0, q[1]!, `a linear layer for ${hintOf(q[1]!)} features is given a tensor of shape ${shapeText(p)}`);
  const dims = [...p.slice(0, -1), q[0]!];
  if (p.length === 2 && isFloat(g.type(x))) return g.emit('Gemm', [x, weight, bias], { transB: { int: 1 } }, { type: 'F32', dims });
  const made = g.emit('MatMul', [float(g, x), swap(g, weight, 0, 1)], {}, { type: 'F32', dims });
  return bias ? elementwise(g, 'Add', made, bias) : made;
}
define('linear', 'input, weight, bias=None', (g, a) => linear(g, a.tensor('input'), a.tensor('weight'), a.optional('bias')));
defineModule('Linear NonDynamicallyQuantizableLinear LazyLinear', 'input', (g, m, a) => linear(g, a.tensor('input'), m.tensor('weight'), m.optional('bias')));
defineModule('Conv1D', 'x', (g, m, a) => elementwise(g, 'Add', matmul(g, a.tensor('x'), m.tensor('weight')), m.tensor('bias')));
define('matmul bmm mm dot mv inner', 'input, other', (g, a) => matmul(g, a.tensor('input'), a.tensor('other')));
define('bmm mm spmm torch.sparse.mm', 'input, mat2', (g, a) => matmul(g, a.tensor('input'), a.tensor('mat2')));
define('mv', 'input, vec', (g, a) => matmul(g, a.tensor('input'), a.tensor('vec')));
define('outer ger', 'input, vec2', (g, a) => elementwise(g, 'Mul', unsqueeze(g, a.tensor('input'), [1]), unsqueeze(g, a.tensor('vec2'), [0])));
define('addmm baddbmm addbmm', 'input, mat1, mat2, beta=1, alpha=1', (g, a) => {
  const scale = (x: Tensor, name: string): Tensor => (a.number(name, 1) === 1 ? x : elementwise(g, 'Mul', x, a.raw(name)!));
  const made = scale(matmul(g, a.tensor('mat1'), a.tensor('mat2')), 'alpha');
  return a.number('beta', 1) === 0 ? made : elementwise(g, 'Add', scale(a.tensor('input'), 'beta'), made);
});
define('bilinear', 'input1, input2, weight, bias=None', (g, a) => {
  const [x, y, w] = [a.tensor('input1'), a.tensor('input2'), a.tensor('weight')];
  // x [.., i] and w [o, i, j] and y [.., j]
  const made = einsum(g, '...i,oij,...j->...o', [x, w, y]);
  return a.given('bias') ? elementwise(g, 'Add', made, a.tensor('bias')) : made;
});
defineModule('Bilinear', 'input1, input2', (g, m, a) => g.op('bilinear', a.tensor('input1'), a.tensor('input2'), m.tensor('weight'), m.optional('bias')));

/**
 * Sums of products after Einstein. An equation is brought into a form that every runtime reads: letters in lower case, an
 * explicit result; shapes are worked out letter by letter.
 */
export function einsum(g: Tracer, equation: string, operands: readonly Tensor[]): Tensor {
  const compact = equation.replaceAll(' ', '');
  const [left, right] = compact.split('->');
  const terms = left!.split(',');
  if (terms.length !== operands.length) return g.stop(`the equation ${equation} is for ${terms.length} tensors and is given ${operands.length}`);
  const sizes = new Map<string, Whole>();
  let ellipsis: Whole[] = [];
  terms.forEach((term, i) => {
    const dims = g.dims(operands[i]!);
    const letters = term.replace('...', '').length;
    const extra = dims.length - letters;
    if (extra < 0 || (extra > 0 && !term.includes('...'))) g.stop(`the equation ${equation} does not fit a tensor of shape ${shapeText(dims)}`);
    let at = 0;
    for (const part of term.replace('...', '.')) {
      if (part === '.') { ellipsis = broadcast(g, ellipsis, dims.slice(at, at + extra)); at += extra; continue; }
      const size = dims[at++]!;
      const known = sizes.get(part);
      if (known !== undefined && known !== 1 && size !== 1 && hintOf(known) !== hintOf(size)) mismatch(g, known, size, `the equation ${equation} gives ${part} two sizes`);
      if (known === undefined || known === 1 || typeof size === 'number') sizes.set(part, known === undefined || known === 1 ? size : known);
    }
  });
  const implicit = [...sizes.keys()].filter((letter) => terms.join('').split(letter).length === 2).sort().join('');
  const result = right ?? `${left!.includes('...') ? '...' : ''}${implicit}`;
  const dims = [...result.replace('...', '.')].flatMap((letter): Whole[] => (letter === '.' ? ellipsis : [sizes.get(letter) ?? g.stop(`the equation ${equation} has no ${letter} on its left`)]));
  const inputs = operands.map((operand) => (isFloat(g.type(operand)) ? operand : cast(g, operand, 'F32')));
  return g.emit('Einsum', inputs, { equation: { text: lowered(`${left}->${result}`) } }, { type: 'F32', dims });
}
/** Capital letters become free small ones. */
function lowered(equation: string): string {
  const used = new Set(equation);
  const free = [...'abcdefghijklmnopqrstuvwxyz'].filter((letter) => !used.has(letter));
  const names = new Map<string, string>();
  return equation.replace(/[A-Z]/g, (letter) => { const known = names.get(letter) ?? free.shift() ?? letter; names.set(letter, known); return known; });
}
define('einsum', 'equation, *operands', (g, a) => {
  const equation = a.raw('equation');
  const given = a.raw('operands');
  const items = given && typeof given === 'object' && 'items' in given ? given.items as readonly Tensor[] : [];
  const [only] = items;
  const operands = items.length === 1 && (only as unknown) instanceof PyList ? (only as unknown as PyList).items as Tensor[] : items;
  return typeof equation === 'string' ? einsum(g, equation, operands) : g.stop('the equation of einsum is not known');
});
define('tensordot', 'input, other, dims=2', (g, a) => {
  const [x, y] = [a.tensor('input'), a.tensor('other')];
  const count = a.number('dims', 2);
  const [p, q] = [g.dims(x), g.dims(y)];
  const made = matmul(g, reshape(g, x, [-1, product(p.slice(p.length - count))]), reshape(g, y, [product(q.slice(0, count)), -1]));
  return reshape(g, made, [...p.slice(0, p.length - count), ...q.slice(count)]);
});
const product = (dims: readonly Whole[]): number => dims.reduce<number>((total, dim) => total * hintOf(dim), 1);
define('kron', 'input, other', (g) => g.stop('torch.kron is not traced'));
