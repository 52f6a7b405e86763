/** The shape of a dataset's samples, from headers alone. */
import { openCheckpoint } from '../checkpoint/open';
import { DTYPE_BITS, FLOAT_DTYPES } from '../checkpoint/checkpoint';
import { chosenArray, splitName } from './array-name';
import type { DatasetSpec } from './data';
import { preprocessing } from './preprocess';

/** @throws CheckpointError or Error as opening the dataset would, as far as headers tell. */
export async function sampleShapeOf(spec: DatasetSpec): Promise<{ readonly shape: readonly number[]; readonly whole: boolean; readonly count: number }> {
  const { file, array } = splitName(spec.inputs);
  const tensor = chosenArray((await openCheckpoint(file)).tensors, array, file);
  const ids = !FLOAT_DTYPES.has(tensor.dtype) && !tensor.encoding && DTYPE_BITS[tensor.dtype] > 8;
  const { shape, whole } = preprocessing(spec.preprocess, tensor.shape.slice(1), ids, spec.inputs);
  return { shape, whole, count: tensor.shape[0] ?? 0 };
}
