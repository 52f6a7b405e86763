/** Einstein sums: the gradient of an operand is a sum of the same kind, in which it changes places with the result. */
import type { GraphEmitter } from '../emitter';
import type { GraphDim, GraphNode } from '../graph';
import { define, NoGradient, textOf } from './rule';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The letters of each operand and of the result; an ellipsis is spelled out in letters of its own, right-aligned. */
function termsOf(g: GraphEmitter, node: GraphNode): { terms: string[]; result: string } {
  const equation = textOf(node, 'equation', '').replace(/\s/g, '');
  const [left, right] = equation.split('->') as [string, string | undefined];
  const given = left.split(',');
  const longest = Math.max(...given.map((term, i) => (term.includes('...') ? g.rank(node.inputs[i]!) - (term.length - 3) : 0)));
  const spare = [...LETTERS].filter((letter) => !equation.includes(letter)).slice(0, longest).join('');
  if (spare.length < longest) throw new NoGradient(`of more dimensions than there are letters (${equation})`);
  const terms = given.map((term, i) => term.replace('...', spare.slice(longest - (g.rank(node.inputs[i]!) - (term.length - 3)))));
  const once = [...new Set(left.replace(/[.,]/g, ''))].filter((letter) => left.split(letter).length === 2).sort().join('');
  return { terms, result: right === undefined ? spare + once : right.replace('...', spare) };
}

define('Einsum', (g, { node, gradient, needs }) => {
  const { terms, result } = termsOf(g, node);
  if (terms.some((term) => new Set(term).size !== term.length)) throw new NoGradient(`of a diagonal (${textOf(node, 'equation', '')})`);
  const sizes = new Map<string, GraphDim>();
  // A size of one may stand beside another one that it is broadcast to.
  terms.forEach((term, i) => [...term].forEach((letter, axis) => { const size = g.shape(node.inputs[i]!)[axis]!; if (!sizes.has(letter) || sizes.get(letter) === 1) sizes.set(letter, size); }));
  [...result].forEach((letter, axis) => sizes.set(letter, g.shape(gradient)[axis]!));
  return terms.map((term, i) => {
    if (!needs(i)) return null;
    const others = terms.flatMap((other, k) => (k === i ? [] : [{ term: other, name: node.inputs[k]! }]));
    const have = new Set([...result, ...others.flatMap((other) => [...other.term])]);
    // Letters that were summed by themselves: every place along them has the same gradient.
    const made = [...term].filter((letter) => have.has(letter)).join('');
    const summed = g.emit('Einsum', [gradient, ...others.map(({ name }) => name)], { equation: { text: `${[result, ...others.map((other) => other.term)].join(',')}->${made}` } },
      { type: g.type(gradient), shape: [...made].map((letter) => sizes.get(letter)!) });
    if (made === term) return g.reduceTo(summed, node.inputs[i]!);
    return g.expandLike(g.unsqueeze(summed, [...term].flatMap((letter, axis) => (have.has(letter) ? [] : [axis]))), node.inputs[i]!);
  });
});
