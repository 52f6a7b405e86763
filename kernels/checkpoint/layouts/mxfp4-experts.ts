/**
 * MXFP4 experts as gpt-oss ships them: `X_blocks` U8 [E, N, K/32, 16], even inputs in the low nibbles, `X_scales` U8 [E, N, K/32].
 * In Hugging Face's model the weight `X` is [E, K, N] (inputs first); under OpenAI's own names (`X.blocks`, `X.scales`) it is [E, N, K].
 */
import type { TensorInfo } from '../checkpoint';
import { firstProblem, isEmpty, MAX_ROW, partProblem, Recognised, type LayoutRecogniser } from './layout';
import type { TensorTable } from './tensor-table';

export const mxfp4Experts: LayoutRecogniser = {
  id: 'mxfp4-experts',
  marks: ['_blocks', 'blocks'],
  recognise(tensors) {
    const found = new Recognised('mxfp4-experts', 'MXFP4');
    for (const blocks of tensors.endingLike('_blocks')) recogniseOne(tensors, blocks, blocks.name.slice(0, -'_blocks'.length), '_scales', true, found);
    for (const blocks of tensors.ending('blocks')) recogniseOne(tensors, blocks, blocks.name.slice(0, -'.blocks'.length), '.scales', false, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, blocks: TensorInfo, name: string, scalesEnd: string, inputsFirst: boolean, found: Recognised): void {
  const scales = name === '' ? null : tensors.get(name + scalesEnd);
  if (!scales || blocks.dtype !== 'U8' || blocks.shape.length < 3 || blocks.shape.length > 4) return;
  const lead = blocks.shape.slice(0, -2);
  const [groups, bytes] = blocks.shape.slice(-2) as [number, number];
  const inputs = groups * 32;
  const outputs = lead.at(-1)!;
  const problem = firstProblem(
    isEmpty(blocks) ? 'it holds no values' : null,
    bytes === 16 ? null : `its blocks have ${bytes} bytes instead of 16`,
    Math.max(inputs, outputs) > MAX_ROW ? `its rows are longer than the ${MAX_ROW} values that are read` : null,
    partProblem('blocks', blocks, ['U8'], null),
    partProblem('scales', scales, ['U8', 'F8_E8M0'], [...lead, groups]),
  );
  if (problem) {
    found.unfit(blocks, problem);
    return;
  }
  const transposed = inputsFirst && lead.length === 2;
  found.add(
    { name, shape: transposed ? [lead[0]!, inputs, outputs] : [...lead, inputs], dtype: 'BF16' },
    { name: 'mxfp4', format: 'mxfp4', options: { inputsFirst: transposed, outputs, groups } },
    { codes: blocks, scales },
  );
}
