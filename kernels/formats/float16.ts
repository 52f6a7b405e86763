/**
 * Plain casts to wider floats: bfloat16, IEEE binary16, TensorFloat-32 (19 bits) and the 24-bit float of early graphics processors.
 * No scales. Values beyond the largest finite one are counted as overflow by the statistics; the error is measured with
 * saturation, because an infinite error would say nothing about the rest.
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { BFLOAT16, FLOAT16, minifloatSpec, type MinifloatSpec } from '../numerics/minifloat';

interface Cast { readonly title: string; readonly codeBits: number; readonly spec: MinifloatSpec; readonly catalogue: readonly string[] }

const CASTS: ReadonlyMap<string, Cast> = new Map<string, Cast>([
  ['bf16', { title: 'bfloat16', codeBits: 16, spec: BFLOAT16, catalogue: ['bfloat16'] }],
  ['fp16', { title: 'IEEE half precision', codeBits: 16, spec: FLOAT16, catalogue: [] }],
  ['tf32', { title: 'TensorFloat-32', codeBits: 19, spec: minifloatSpec(8, 10, 127, 'ieee'), catalogue: [] }],
  ['fp24', { title: '24-bit float (7 exponent bits)', codeBits: 24, spec: minifloatSpec(7, 16, 63, 'ieee'), catalogue: [] }],
]);

export const float16Family: FormatFamily = {
  name: 'float16',
  title: 'Plain casts to 16 bits and more',
  grammar: [...CASTS.keys()].join(' | '),
  listed: [...CASTS.keys()],
  layout: 'bf16 s.eeeeeeee.mmmmmmm (the upper half of a float32)   fp16 s.eeeee.mmmmmmmmmm\ntf32 s.eeeeeeee.mmmmmmmmmm   fp24 s.eeeeeee.mmmmmmmmmmmmmmmm',
  oracle: 'ml_dtypes (88,960 inputs) and all 65,536 codes of bf16 and fp16; nearest float32 with the mantissa cut, for tf32',
  source: 'IEEE 754-2008 binary16; Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019; NVIDIA A100 white paper, 2020',
  ladders: [['bf16', 'tf32']],
  parse(id) {
    const [head, ...rest] = id.split('-');
    const cast = CASTS.get(head!);
    // fp16-e5m10 and other splits of 16 bits are small floats with scales.
    if (!cast || (head === 'fp16' && /^e\d/.test(rest[0] ?? ''))) return null;
    if (rest.length > 0) throw new FormatIdError(`"${id}": ${head} is a plain cast and takes no "${rest.join('-')}"`);
    const { title, codeBits, spec, catalogue } = cast;
    return blockScaledFormat({ id: head!, family: 'float16', title, catalogue, codeBits, granularity: null, scaleStorage: 'f32', element: { kind: 'float', spec, divisor: null } });
  },
};
