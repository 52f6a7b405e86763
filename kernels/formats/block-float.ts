/**
 * Integers under a shared exponent (block floating point, DFP, BCT), and integers under a 16-bit scale per vector (ABFP).
 * Block floating point: scale = 2^(floor(log2 absmax) - (b - 2)), codes are two's complement of b bits, ties to even, saturating
 * symmetrically. ABFP: scale = bfloat16(absmax / (2^(b-1) - 1)) for every n weights.
 */
import { FormatIdError, type FormatFamily, type Granularity } from './format';
import { blockScaledFormat } from './block-scaled';
import { granularityTitle, parseIdTail, tailText } from './grammar';

const CATALOGUE: ReadonlyMap<string, readonly string[]> = new Map([['dfp16-tensor', ['dfp16']], ['bfp4-g128', ['bct']], ['bfp8-g128', ['bct']]]);

export const blockFloatFamily: FormatFamily = {
  name: 'bfp',
  title: 'Block floating point',
  grammar: '<bfp|dfp><2..8|16>[-<tensor|channel|g<n>>] | abfp<2..8>[-<tensor|channel|g<n>>]; bfp8 alone is bfp8-g32, dfp16 is dfp16-tensor, abfp4 is abfp4-g64',
  listed: ['bfp4-g16', 'bfp4-g128', 'bfp8-g32', 'bfp8-g128', 'bfp8-tensor', 'dfp16-tensor', 'abfp4-g64', 'abfp8-g64'],
  layout: 'bfp: | 8-bit exponent X | codes of b bits (2^(b-1) added) |: value = code x 2^(X - 127)\nabfp: | bfloat16 scale | codes of b bits |',
  oracle: 'microxcaling MXINT8 (bfp8-g32); integers with the same scale, bit for bit (abfp)',
  source: 'Das et al., Mixed Precision Training of Convolutional Neural Networks using Integer Operations, 2018 (DFP); Dong et al., Blockwise Compression of Transformer-based Models without Retraining, 2023 (BCT); '
    + 'Basumallik et al., Adaptive Block Floating-Point for Analog Deep Learning Hardware, 2022 (ABFP)',
  ladders: [[2, 3, 4, 5, 6, 7, 8, 16].map((bits) => `bfp${bits}-g32`), [2, 3, 4, 5, 6, 7, 8].map((bits) => `abfp${bits}-g64`)],
  parse(id) {
    const [head, ...rest] = id.split('-');
    const match = /^(bfp|dfp|abfp)(\d+)$/.exec(head!);
    if (!match) {
      if (/^(bfp|dfp|abfp)/.test(id)) throw new FormatIdError(`"${id}": write the bits, for example bfp8`);
      return null;
    }
    const [kind, bits] = [match[1]!, Number(match[2])];
    if (match[2]!.startsWith('0') || !((bits >= 2 && bits <= 8) || (bits === 16 && kind !== 'abfp'))) throw new FormatIdError(`"${id}": ${kind} has 2 to 8 bits${kind === 'abfp' ? '' : ' or 16'}, not ${match[2]}`);
    const unless: Granularity = kind === 'dfp' ? { kind: 'tensor' } : { kind: 'group', size: kind === 'bfp' ? 32 : 64 };
    const { granularity, scaleStorage } = parseIdTail(id, rest, unless);
    if (scaleStorage !== 'f32') throw new FormatIdError(`"${id}": the scales of ${kind} are part of the format`);
    const canonical = `${kind}${bits}-${tailText(granularity, 'f32')}`;
    const high = 2 ** (bits - 1) - 1;
    const where = granularityTitle({ granularity, scaleStorage: 'f32' });
    return blockScaledFormat({
      id: canonical, family: 'bfp',
      title: kind === 'abfp' ? `${bits}-bit adaptive block floating point, ${where}, bf16 scales` : `${bits}-bit integers under a shared exponent, ${where}`,
      catalogue: CATALOGUE.get(canonical) ?? (kind === 'abfp' ? ['int-fp-qsim'] : []),
      codeBits: bits, granularity,
      scaleStorage: kind === 'abfp' ? 'bf16' : 'p2floor',
      element: { kind: 'int', low: -high, high, divisor: kind === 'abfp' ? high : 2 ** (bits - 2), symmetric: true },
    });
  },
};
