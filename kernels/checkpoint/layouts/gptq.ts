/**
 * GPTQ (Frantar et al., 2210.17323) as AutoGPTQ and GPTQModel store it:
 * `qweight` I32 [K*b/32, N], codes as a bit stream down each column; `scales` [groups, N]; `qzeros` I32 [groups, N*b/32] along N,
 * one less than the zero point in version 1, as it is in version 2; `g_idx` I32 [K], the group of each input (act-order).
 * The weight of the model is [N, K].
 */
import type { JsonValue, TensorInfo } from '../checkpoint';
import { firstProblem, granularityId, isEmpty, MAX_ROW, partProblem, Recognised, SCALE_DTYPES, scaleSuffix, type LayoutRecogniser } from './layout';
import { flagAt, numberAt, quantMethod, textAt } from './quantization-config';
import { modulePrefix, type TensorTable } from './tensor-table';

const BITS = [2, 3, 4, 8];

export const gptq: LayoutRecogniser = {
  id: 'gptq',
  marks: ['qweight'],
  recognise(tensors, config) {
    const found = new Recognised('gptq');
    const method = quantMethod(config);
    if (method !== null && method !== 'gptq' && method !== 'auto-round' && method !== 'intel/auto-round') return found;
    if (method !== 'gptq' && method !== null && /awq/.test(textAt(config!, 'packing_format') ?? '')) return found;
    for (const qweight of tensors.ending('qweight')) recogniseOne(tensors, config, qweight, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, config: JsonValue | null, qweight: TensorInfo, found: Recognised): void {
  const prefix = modulePrefix(qweight.name);
  const [scales, qzeros, gIdx] = ['scales', 'qzeros', 'g_idx'].map((part) => tensors.get(prefix + part));
  // Without scales it is something else; with columns that AWQ packs it is AWQ's.
  if (!scales || qweight.shape.length !== 2 || scales.shape.length !== 2) return;
  const [words, outputs] = qweight.shape as [number, number];
  const groups = scales.shape[0]!;
  const packedAcross = !gIdx && scales.shape[1] === outputs * 8;
  if (packedAcross) return;
  const bits = bitsOf(config, words, outputs, qzeros, gIdx);
  if (bits === null) return;
  const inputs = (words * 32) / bits;
  const symmetric = flagAt(config ?? undefined, 'sym');
  const wanted = numberAt(config ?? undefined, 'group_size');
  const groupSize = wanted !== null && wanted > 0 && Math.ceil(inputs / wanted) === groups ? wanted : Math.ceil(inputs / Math.max(1, groups));
  const problem = firstProblem(
    isEmpty(qweight) || groups === 0 ? 'it holds no values' : null,
    Number.isInteger(inputs) ? null : `its ${words} rows of ${bits}-bit codes are no whole number of inputs`,
    inputs > MAX_ROW ? `its rows of ${inputs} inputs are longer than the ${MAX_ROW} that are read` : null,
    partProblem('codes', qweight, ['I32'], null),
    partProblem('scales', scales, SCALE_DTYPES, [groups, outputs]),
    qzeros && partProblem('zero points', qzeros, ['I32'], [groups, Math.ceil((outputs * bits) / 32)]),
    gIdx && partProblem('group indices', gIdx, ['I32', 'I64'], [inputs]),
    !qzeros && symmetric !== true ? 'its zero points are missing' : null,
    !gIdx && inputs % groupSize !== 0 && wanted !== groupSize ? `${inputs} inputs are not divided into ${groups} groups` : null,
    textAt(config ?? undefined, 'checkpoint_format') === 'marlin' || flagAt(config ?? undefined, 'is_marlin_format') ? 'its codes are in the order of the Marlin kernel' : null,
  );
  if (problem) {
    found.unfit(qweight, problem);
    return;
  }
  const plain = zerosArePlain(tensors, config, qzeros, bits);
  if (plain === null) {
    found.note(qweight, `no quantization_config says which version of GPTQ ${prefix}qzeros are of; they are read as version 1 (zero point minus one)`,
      'Put the config.json (or quantize_config.json) that came with the checkpoint beside it');
  }
  const actOrder = flagAt(config ?? undefined, 'desc_act') === true && gIdx !== null && groups > 1;
  const where = granularityId(groups, groupSize);
  found.add(
    { name: `${prefix}weight`, shape: [outputs, inputs], dtype: scales.dtype },
    {
      name: `int${bits} ${where === 'channel' ? 'per channel' : where}${actOrder ? ' act-order' : ''} (GPTQ)`,
      // With act-order a group is any set of inputs, which no format of ours has.
      format: actOrder ? null : `int${bits}-${symmetric ? 'sym' : 'asym'}-${where}${scaleSuffix(scales.dtype)}`,
      options: { bits, groupSize, zeros: !qzeros ? 'middle' : plain ? 'plain' : 'minus-one' },
    },
    { codes: qweight, scales, zeros: qzeros, groups: gIdx },
  );
}

/** Bits of a code: the settings' unless no shape agrees with them, else what the zero points and the group indices tell. */
function bitsOf(config: JsonValue | null, words: number, outputs: number, qzeros: TensorInfo | null | undefined, gIdx: TensorInfo | null | undefined): number | null {
  const checks = [
    ...(qzeros ? [(bits: number): boolean => qzeros.shape[1] === Math.ceil((outputs * bits) / 32)] : []),
    ...(gIdx ? [(bits: number): boolean => words * 32 === gIdx.shape[0]! * bits] : []),
  ];
  const said = numberAt(config ?? undefined, 'bits');
  if (said !== null && !BITS.includes(said)) return null;
  if (said !== null && (checks.length === 0 || checks.some((check) => check(said)))) return said;
  if (checks.length === 0) return null;
  // Where one of the two is wrong the other still tells what was meant; the check of shapes then says which is wrong.
  return BITS.find((bits) => checks.every((check) => check(bits))) ?? BITS.find((bits) => checks.some((check) => check(bits))) ?? null;
}

/**
 * Whether zero points are stored as they are (version 2) or minus one (version 1).
 * Without settings, symmetric checkpoints tell by themselves: every zero point is 2^(b-1). Null: nothing tells.
 */
function zerosArePlain(tensors: TensorTable, config: JsonValue | null, qzeros: TensorInfo | null | undefined, bits: number): boolean | null {
  if (!qzeros) return false;
  if (config !== null) {
    if (textAt(config, 'checkpoint_format') === 'gptq_v2') return true;
    // AutoRound's own packing keeps zero points as they are; packed for AutoGPTQ they are minus one.
    return textAt(config, 'packing_format') === 'auto_round';
  }
  const bytes = tensors.contents(qzeros, 256);
  if (!bytes || bytes.length < 4 || bits === 3) return null;
  const fields = Array.from(bytes, (byte) => (bits === 8 ? [byte] : bits === 4 ? [byte & 15, byte >> 4] : [byte & 3, (byte >> 2) & 3, (byte >> 4) & 3, byte >> 6])).flat();
  const middle = 2 ** (bits - 1);
  return fields.every((field) => field === middle) ? true : fields.every((field) => field === middle - 1) ? false : null;
}
