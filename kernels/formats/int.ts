/**
 * Integers of 1 to 8 and 16 bits.
 * `sym`: codes -2^(b-1)..2^(b-1)-1, scale absmax / (2^(b-1)-1). `symr`: the same scale, codes restricted to +-(2^(b-1)-1).
 * `asym`: codes 0..2^b-1 with a zero point of b bits; the range always includes zero.
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { SCALE_STORAGES } from './scale';
import { granularityTitle, isTwoDimensional, parseIdTail, TAIL_GRAMMAR } from './grammar';

const SYMMETRY_TITLES = { sym: 'symmetric', symr: 'symmetric, restricted range', asym: 'asymmetric' } as const;
type Symmetry = keyof typeof SYMMETRY_TITLES;

export const intFamily: FormatFamily = {
  name: 'int',
  title: 'Integers',
  grammar: `int<1..8|16>[-<sym|symr|asym>]${TAIL_GRAMMAR}; int4 alone is int4-sym-channel`,
  listed: [
    ...[2, 3, 4, 5, 6, 7, 8].flatMap((bits) => [`int${bits}-sym-tensor`, `int${bits}-sym-channel`, `int${bits}-sym-g128`]),
    'int4-sym-g32', 'int4-sym-g64', 'int4-sym-g128-sf16', 'int8-symr-channel', 'int4-symr-g128',
    'int1-asym-g128', 'int1-sym-g128', 'int16-sym-channel', 'int16-asym-channel', 'int4-sym-g128-sdy16', 'int4-sym-g128-sp2near',
    ...[2, 3, 4, 8].flatMap((bits) => [`int${bits}-asym-channel`, `int${bits}-asym-g128`]),
  ],
  layout: 'codes of b bits, low bits first: | c0 | c1 | c2 ... (signed codes stored with 2^(b-1) added); one scale (asym: and a zero point of b bits) per block',
  oracle: 'numpy float32 (scales, codes and values); compressed-tensors (packed layout of 1 to 8 bits); onnx node models of QuantizeLinear',
  source: 'Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018',
  ladders: ['sym', 'asym'].flatMap((symmetry) => ['channel', 'g128'].map((blocks) => [2, 3, 4, 5, 6, 7, 8, 16].map((bits) => `int${bits}-${symmetry}-${blocks}`))),
  parse(id) {
    if (isTwoDimensional(id)) return null;
    const parts = id.split('-');
    const head = /^int(\d+)$/.exec(parts[0]!);
    if (!head) {
      if (/^int/.test(parts[0]!)) throw new FormatIdError(`"${id}": write the bits after int, for example int4`);
      return null;
    }
    const bits = Number(head[1]);
    if (!((bits >= 1 && bits <= 8) || bits === 16) || head[1]!.startsWith('0')) throw new FormatIdError(`"${id}": int formats have 1 to 8 bits or 16, not ${head[1]}`);
    const named = parts[1] !== undefined && Object.hasOwn(SYMMETRY_TITLES, parts[1]);
    const symmetry: Symmetry = named ? (parts[1] as Symmetry) : 'sym';
    if (bits === 1 && symmetry === 'symr') throw new FormatIdError(`"${id}": one bit has no restricted range; use int1-sym (codes -1 and 0) or int1-asym`);
    const tail = parseIdTail(id, parts.slice(named ? 2 : 1));
    if (symmetry === 'asym' && SCALE_STORAGES[tail.scaleStorage].outer !== null) throw new FormatIdError(`"${id}": scales under another scale are for symmetric formats`);
    const half = 2 ** (bits - 1);
    return blockScaledFormat({
      id: `int${bits}-${symmetry}-${tail.text}`,
      family: 'int',
      title: `${bits}-bit integer, ${SYMMETRY_TITLES[symmetry]}, ${granularityTitle(tail)}`,
      catalogue: [],
      codeBits: bits,
      granularity: tail.granularity,
      scaleStorage: tail.scaleStorage,
      element: symmetry === 'asym'
        ? { kind: 'int', low: 0, high: 2 * half - 1, divisor: 2 * half - 1, symmetric: false }
        : { kind: 'int', low: symmetry === 'symr' ? 1 - half : -half, high: half - 1, divisor: bits === 1 ? 1 : half - 1, symmetric: true },
    });
  },
};
