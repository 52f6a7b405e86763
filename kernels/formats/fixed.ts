/** Fixed point: integers of n bits that stand for code x 2^-f, without scales. Ties to even, saturating. */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';

export const fixedFamily: FormatFamily = {
  name: 'fixed',
  title: 'Fixed point',
  grammar: '[u]fixed-<bits>.<fraction bits>; fixed-8.5 has 8 bits, of which 5 lie behind the point',
  listed: ['fixed-8.5', 'fixed-8.7', 'fixed-16.12', 'ufixed-8.8'],
  layout: 'two\'s complement of n bits, the last f behind the point: fixed-8.5 is s.ii.fffff, -4 to 3.96875 in steps of 1/32',
  oracle: 'nearest value by search over all codes',
  source: 'Gupta et al., Deep Learning with Limited Numerical Precision, 2015',
  ladders: [['fixed-4.3', 'fixed-6.5', 'fixed-8.7', 'fixed-16.15']],
  parse(id) {
    const [head, numbers, ...rest] = id.split('-');
    if (head !== 'fixed' && head !== 'ufixed') return null;
    const match = /^(\d{1,2})\.(\d{1,2})$/.exec(numbers ?? '');
    const [bits, fraction] = [Number(match?.[1]), Number(match?.[2])];
    const canonical = `${head}-${bits}.${fraction}`;
    if (!match || rest.length > 0 || canonical !== id) throw new FormatIdError(`"${id}": write bits and fraction bits, for example ${head}-8.5`);
    if (bits < 2 || bits > 16 || fraction > 32) throw new FormatIdError(`"${id}": fixed point has 2 to 16 bits and up to 32 fraction bits`);
    const [low, high] = head === 'ufixed' ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
    return blockScaledFormat({
      id, family: 'fixed', title: `${head === 'ufixed' ? 'Unsigned fixed' : 'Fixed'} point, ${bits} bits, ${fraction} behind the point`, catalogue: [],
      codeBits: bits, granularity: null, scaleStorage: 'f32', castScale: 2 ** -fraction,
      element: { kind: 'int', low, high, divisor: null, symmetric: true },
      traits: { signSymmetric: false },
    });
  },
};
