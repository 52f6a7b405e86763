/** Einstein sums: the gradient of an operand is a sum of the same kind, in which it changes places with the result. */
import type { GraphDim } from '../graph';
import { define, NoGradient, textOf } from './rule';

define('Einsum', (g, { node, gradient, needs }) => {
  const equation = textOf(node, 'equation', '').replace(/\s/g, '');
  if (equation.includes('.')) throw new NoGradient('with an ellipsis');
  const [left, right] = equation.split('->') as [string, string | undefined];
  const terms = left.split(',');
  const result = right ?? [...new Set(left.replaceAll(',', ''))].filter((letter) => left.split(letter).length === 2).sort().join('');
  if (terms.some((term) => new Set(term).size !== term.length)) throw new NoGradient(`of a diagonal (${equation})`);
  const sizes = new Map<string, GraphDim>();
  terms.forEach((term, i) => [...term].forEach((letter, axis) => sizes.set(letter, g.shape(node.inputs[i]!)[axis]!)));
  return terms.map((term, i) => {
    if (!needs(i)) return null;
    const others = terms.flatMap((other, k) => (k === i ? [] : [{ term: other, name: node.inputs[k]! }]));
    const have = new Set([...result, ...others.flatMap((other) => [...other.term])]);
    // Letters that were summed by themselves: every place along them has the same gradient.
    const made = [...term].filter((letter) => have.has(letter)).join('');
    const summed = g.emit('Einsum', [gradient, ...others.map(({ name }) => name)], { equation: { text: `${[result, ...others.map((other) => other.term)].join(',')}->${made}` } },
      { type: g.type(gradient), shape: [...made].map((letter) => sizes.get(letter)!) });
    if (made === term) return summed;
    return g.expandLike(g.unsqueeze(summed, [...term].flatMap((letter, axis) => (have.has(letter) ? [] : [axis]))), node.inputs[i]!);
  });
});
