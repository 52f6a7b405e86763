/**
 * Plain casts to 16 bits: bfloat16 and IEEE binary16. No scales. Values beyond the largest finite one are counted as
 * overflow by the statistics; the error is measured with saturation, because an infinite error would say nothing about the rest.
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { BFLOAT16, FLOAT16 } from '../numerics/minifloat';

export const float16Family: FormatFamily = {
  name: 'float16',
  title: '16-bit floats',
  grammar: 'bf16 | fp16',
  listed: ['bf16', 'fp16'],
  layout: 'bf16 s.eeeeeeee.mmmmmmm (the upper half of a float32)   fp16 s.eeeee.mmmmmmmmmm',
  oracle: 'ml_dtypes (88,960 inputs) and all 65,536 codes',
  source: 'IEEE 754-2008 binary16; Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019',
  parse(id) {
    const [head, ...rest] = id.split('-');
    if (head !== 'bf16' && head !== 'fp16') return null;
    if (rest.length > 0) throw new FormatIdError(`"${id}": ${head} is a plain cast and takes no "${rest.join('-')}"`);
    return blockScaledFormat({
      id: head,
      family: 'float16',
      title: head === 'bf16' ? 'bfloat16' : 'IEEE half precision',
      catalogue: head === 'bf16' ? ['bfloat16'] : [],
      codeBits: 16,
      granularity: null,
      scaleStorage: 'f32',
      element: { kind: 'float', spec: head === 'bf16' ? BFLOAT16 : FLOAT16, divisor: null },
    });
  },
};
