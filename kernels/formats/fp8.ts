/**
 * 8-bit floats with scales (OCP 8-bit Floating Point Specification 1.0): E4M3FN (largest value 448) and E5M2 (57344).
 * scale = absmax / largest value; conversion rounds to nearest even and saturates.
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { granularityTitle, parseIdTail } from './grammar';
import { E4M3FN, E5M2 } from '../numerics/minifloat';

const ENCODINGS = { e4m3: E4M3FN, e5m2: E5M2 } as const;

export const fp8Family: FormatFamily = {
  name: 'fp8',
  title: '8-bit floats',
  grammar: 'fp8-<e4m3|e5m2>[-<tensor|channel|g<n>>][-<sf16|sbf16>]; fp8-e4m3 alone is fp8-e4m3-channel',
  listed: ['fp8-e4m3-tensor', 'fp8-e4m3-channel', 'fp8-e4m3-g128', 'fp8-e5m2-tensor', 'fp8-e5m2-channel', 'fp8-e5m2-g128'],
  parse(id) {
    const [head, encoding, ...rest] = id.split('-');
    if (head !== 'fp8') return null;
    if (encoding !== 'e4m3' && encoding !== 'e5m2') throw new FormatIdError(`"${id}": name the encoding, fp8-e4m3 or fp8-e5m2`);
    const tail = parseIdTail(id, rest);
    const spec = ENCODINGS[encoding];
    return blockScaledFormat({
      id: `fp8-${encoding}-${tail.text}`,
      family: 'fp8',
      title: `FP8 ${encoding.toUpperCase()}, ${granularityTitle(tail)}`,
      catalogue: ['fp8-formats'],
      codeBits: 8,
      granularity: tail.granularity,
      scaleStorage: tail.scaleStorage,
      element: { kind: 'float', spec, divisor: spec.maxFinite },
    });
  },
};
