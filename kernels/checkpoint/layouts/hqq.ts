/**
 * HQQ (Badri and Shaji, 2023), state dicts encoded for safetensors: `W_q` U8 (I32 for 3 bits), `scale`, `zero`, and `nbits`,
 * `group_size`, `axis`, `shape` as small tensors. The weight is seen as [weights/g, g] (axis 1) or [g, weights/g] (axis 0), one scale
 * for each row (axis 1) or column (axis 0); codes of rows far apart share a byte, the first part in the high bits.
 */
import type { TensorInfo } from '../checkpoint';
import { firstProblem, partProblem, Recognised, SCALE_DTYPES, type LayoutRecogniser } from './layout';
import { smallInteger, smallIntegers, soundShape } from './small-tensors';
import { modulePrefix, type TensorTable } from './tensor-table';

/** Codes of one stored element, by bits. */
export const HQQ_PER_ELEMENT: Readonly<Record<number, number>> = { 8: 1, 4: 2, 3: 10, 2: 4, 1: 8 };
const MAX_COLUMNS = 2 ** 24;

export const hqq: LayoutRecogniser = {
  id: 'hqq',
  marks: ['W_q'],
  recognise(tensors) {
    const found = new Recognised('hqq', 'HQQ');
    for (const codes of tensors.ending('W_q')) recogniseOne(tensors, codes, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, codes: TensorInfo, found: Recognised): void {
  const prefix = modulePrefix(codes.name);
  const part = (name: string): TensorInfo | null => tensors.get(prefix + name);
  const [scale, zero] = [part('scale'), part('zero')];
  const [bits, axis, group] = [smallInteger(tensors, part('nbits')), smallInteger(tensors, part('axis')), smallInteger(tensors, part('group_size'))];
  const shape = soundShape(smallIntegers(tensors, part('shape')));
  if (!scale) return;
  const per = bits === null ? undefined : HQQ_PER_ELEMENT[bits];
  if (bits === null || per === undefined || !shape || (axis !== 0 && axis !== 1)) {
    found.unfit(codes, 'its nbits, axis or shape are missing or make no sense');
    return;
  }
  const weights = shape.reduce((product, dim) => product * dim, 1);
  // Without groups a whole row (axis 1) or column (axis 0) of the weight is one.
  const size = group ?? (axis === 1 ? weights / shape[0]! : shape[0]!);
  const [rows, cols] = axis === 1 ? [weights / size, size] : [size, weights / size];
  const step = Math.ceil(rows / per);
  const problem = firstProblem(
    size > 0 && Number.isInteger(weights / size) ? null : `${weights} weights are not divided into groups of ${size}`,
    bits === 3 || Number.isInteger(rows / per) ? null : `${rows} rows are not divided among the ${per} codes of a byte`,
    cols > MAX_COLUMNS ? `it has rows of ${cols} values, more than the ${MAX_COLUMNS} that are read` : null,
    partProblem('codes', codes, bits === 3 ? ['I32'] : ['U8'], [step, cols]),
    partProblem('scales', scale, SCALE_DTYPES, axis === 1 ? [rows, 1] : [1, cols]),
    zero ? partProblem('zero points', zero, SCALE_DTYPES, axis === 1 ? [rows, 1] : [1, cols]) : 'its zero points are missing',
    smallInteger(tensors, part('view_as_float')) === 1 ? 'its codes are stored as floats' : null,
  );
  if (problem) {
    found.unfit(codes, problem);
    return;
  }
  const settings = ['nbits', 'group_size', 'shape', 'axis', 'packing', 'unpack_view_dtype', 'view_as_float', 'quant_scale', 'quant_zero', 'compute_dtype', 'offload_meta', 'encoded_state_dict', 'stores_quant_config', 'channel_wise', 'optimize', 'round_zero'];
  found.add(
    { name: `${prefix}weight`, shape, dtype: scale.dtype },
    { name: `int${bits} g${size}${axis === 0 ? ' along outputs' : ''} (HQQ)`, options: { bits, axis, rows, cols } },
    { codes, scales: scale, zeros: zero },
    settings.map(part),
  );
}
