/**
 * AWQ (Lin et al., 2306.00978) in AutoAWQ's GEMM version: `qweight` I32 [K, N/8], eight 4-bit codes of a word in the column order
 * 0 2 4 6 1 3 5 7; `qzeros` I32 [groups, N/8] alike; `scales` [groups, N]. The weight of the model is [N, K].
 */
import type { JsonValue, TensorInfo } from '../checkpoint';
import { firstProblem, granularityId, isEmpty, MAX_ROW, partProblem, Recognised, SCALE_DTYPES, scaleSuffix, type LayoutRecogniser } from './layout';
import { numberAt, quantMethod, textAt } from './quantization-config';
import { modulePrefix, type TensorTable } from './tensor-table';

export const awq: LayoutRecogniser = {
  id: 'awq',
  marks: ['qweight'],
  recognise(tensors, config) {
    const found = new Recognised('awq');
    const method = quantMethod(config);
    const packedAsAwq = /awq/.test(textAt(config ?? undefined, 'packing_format') ?? '');
    if (method !== null && method !== 'awq' && !packedAsAwq) return found;
    const version = (textAt(config ?? undefined, 'version') ?? textAt(config ?? undefined, 'backend') ?? 'gemm').toLowerCase();
    for (const qweight of tensors.ending('qweight')) recogniseOne(tensors, config, version, qweight, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, config: JsonValue | null, version: string, qweight: TensorInfo, found: Recognised): void {
  const prefix = modulePrefix(qweight.name);
  const [scales, qzeros] = ['scales', 'qzeros'].map((part) => tensors.get(prefix + part));
  if (!scales || qweight.shape.length !== 2 || scales.shape.length !== 2) return;
  const [inputs, words] = qweight.shape as [number, number];
  const [groups, outputs] = scales.shape as [number, number];
  if (words * 8 !== outputs && config === null) return;
  const wanted = numberAt(config ?? undefined, 'group_size') ?? numberAt(config ?? undefined, 'q_group_size');
  const groupSize = wanted !== null && wanted > 0 && Math.ceil(inputs / wanted) === groups ? wanted : Math.ceil(inputs / Math.max(1, groups));
  const problem = firstProblem(
    version !== 'gemm' && /gemv|marlin|exllama/.test(version) ? `its codes are in the order of the ${version} version` : null,
    isEmpty(qweight) || groups === 0 ? 'it holds no values' : null,
    words * 8 === outputs ? null : `${words} words of eight codes do not make the ${outputs} outputs of its scales`,
    inputs > MAX_ROW ? `its rows of ${inputs} inputs are longer than the ${MAX_ROW} that are read` : null,
    partProblem('codes', qweight, ['I32'], null),
    partProblem('scales', scales, SCALE_DTYPES, [groups, outputs]),
    qzeros ? partProblem('zero points', qzeros, ['I32'], [groups, words]) : 'its zero points are missing',
    inputs % groupSize !== 0 && wanted !== groupSize ? `${inputs} inputs are not divided into ${groups} groups` : null,
  );
  if (problem) {
    found.unfit(qweight, problem);
    return;
  }
  const where = granularityId(groups, groupSize);
  found.add(
    { name: `${prefix}weight`, shape: [outputs, inputs], dtype: scales.dtype },
    { name: `int4 ${where === 'channel' ? 'per channel' : where} (AWQ)`, format: `int4-asym-${where}${scaleSuffix(scales.dtype)}`, options: { groupSize } },
    { codes: qweight, scales, zeros: qzeros },
  );
}
