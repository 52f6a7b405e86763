/**
 * Small floats packed in bytes, with a scale for each block along the inputs:
 * NVFP4 (16 values, E4M3 scales, one F32 scale of the tensor): ModelOpt `weight` U8 [N, K/2] with `weight_scale` and `weight_scale_2`
 * (multiplied); compressed-tensors `weight_packed` with `weight_scale` and `weight_global_scale` (divided).
 * MXFP4 and MXFP6 of compressed-tensors (32 values, E8M0 scales as U8): `weight_packed` U8 [N, K/2] or [N, 3K/4], `weight_scale` [N, K/32].
 */
import type { TensorInfo } from '../checkpoint';
import { firstProblem, isEmpty, MAX_ROW, partProblem, Recognised, type LayoutRecogniser } from './layout';
import { modulePrefix, type TensorTable } from './tensor-table';

export const blockFloats: LayoutRecogniser = {
  id: 'block-floats',
  marks: ['weight_packed', 'weight_scale_2', '_weight_scale_2'],
  recognise(tensors) {
    const found = new Recognised('block-floats', '4-bit float');
    for (const packed of tensors.ending('weight_packed')) {
      const prefix = modulePrefix(packed.name);
      if (packed.dtype === 'U8') recogniseOne(tensors, packed, prefix, `${prefix}weight`, tensors.get(`${prefix}weight_global_scale`), 'divide', found);
    }
    for (const second of [...tensors.ending('weight_scale_2'), ...tensors.endingLike('_weight_scale_2')]) {
      const base = second.name.slice(0, -'_scale_2'.length);
      const codes = tensors.get(base);
      if (codes?.dtype === 'U8') recogniseOne(tensors, codes, modulePrefix(base), base, second, 'multiply', found);
    }
    return found;
  },
};

function recogniseOne(tensors: TensorTable, packed: TensorInfo, prefix: string, name: string, global: TensorInfo | null, how: 'multiply' | 'divide', found: Recognised): void {
  const scale = tensors.get(`${name}_scale`);
  if (!scale || packed.shape.length < 2) return;
  const lead = packed.shape.slice(0, -1);
  const bytes = packed.shape.at(-1)!;
  const blocks = scale.shape.at(-1) ?? 0;
  const nvfp4 = scale.dtype === 'F8_E4M3';
  const block = nvfp4 ? 16 : 32;
  const inputs = blocks * block;
  const bits = (bytes * 8) / Math.max(1, inputs);
  const batch = lead.length > 1 ? lead.slice(0, -1).reduce((product, dim) => product * dim, 1) : 1;
  const globals = global ? global.shape.reduce((product, dim) => product * dim, 1) : 0;
  const problem = firstProblem(
    isEmpty(packed) || blocks === 0 ? 'it holds no values' : null,
    bits === 4 || (bits === 6 && !nvfp4) ? null : `${bytes} bytes hold no row of ${blocks} blocks of ${block}`,
    inputs > MAX_ROW ? `its rows of ${inputs} inputs are longer than the ${MAX_ROW} that are read` : null,
    partProblem('codes', packed, ['U8'], null),
    partProblem('scales', scale, nvfp4 ? ['F8_E4M3'] : ['U8', 'F8_E8M0'], [...lead, blocks]),
    nvfp4 && !global ? 'the scale of its whole tensor is missing' : null,
    global && partProblem('tensor scale', global, ['F32', 'F16', 'BF16'], null),
    global && globals !== 1 && globals !== batch ? `it has ${globals} tensor scales` : null,
  );
  if (problem) {
    found.unfit(packed, problem);
    return;
  }
  const format = nvfp4 ? 'nvfp4' : bits === 4 ? 'mxfp4' : 'mxfp6-e2m3';
  found.add(
    { name, shape: [...lead, inputs], dtype: 'BF16' },
    { name: `${format} (${how === 'multiply' ? 'ModelOpt' : 'compressed-tensors'})`, format, options: { bits, block, how, globals } },
    { codes: packed, scales: scale, global },
    ['input_scale', 'input_global_scale', 'pre_quant_scale'].map((part) => tensors.get(prefix + part)),
  );
}
