/**
 * NVFP4: blocks of 16 E2M1 elements under an E4M3 scale each, and one float32 scale for the tensor, absmax / (6 x 448).
 * value = element x block scale x tensor scale. The least block scale is 2^-9, so that no block divides by zero.
 * (Files of ModelOpt multiply by the tensor scale, those of compressed-tensors divide by its inverse.)
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { minifloatSpec } from '../numerics/minifloat';

const E2M1 = minifloatSpec(2, 1, 1, 'none');

export const nvfp4Family: FormatFamily = {
  name: 'nvfp4',
  title: 'NVFP4',
  grammar: 'nvfp4',
  listed: ['nvfp4'],
  layout: '| 16 elements s.ee.m | E4M3 scale s.eeee.mmm | per block, one float32 per tensor: value = element x block scale x tensor scale',
  oracle: 'the composition of E2M1 and E4M3 conversions of ml_dtypes',
  source: 'NVIDIA, Pretraining Large Language Models with NVFP4, 2025; NVIDIA TensorRT Model Optimizer',
  parse(id) {
    if (!/^nvfp/.test(id)) return null;
    if (id !== 'nvfp4') throw new FormatIdError(`"${id}": nvfp4 takes no parameters; fp4-e2m1-g<n>-se4m3 has other blocks`);
    return blockScaledFormat({
      id, family: 'nvfp4', title: 'NVFP4 (E2M1, blocks of 16 with E4M3 scales under a tensor scale)', catalogue: ['mx-formats'],
      codeBits: 4, granularity: { kind: 'group', size: 16 }, scaleStorage: 'e4m3', element: { kind: 'float', spec: E2M1, divisor: E2M1.maxFinite },
    });
  },
};
