/** The shape of a dataset's samples. */
import type { DatasetSpec } from './data';
import { preparationOf } from './open';
import { isText, openSource } from './sources';
import { DEFAULT_SEQUENCE } from './tokens';

/** Samples of a text before it is tokenized: an example of a number that stays free. */
const EXAMPLE = 2;

/** @throws CheckpointError or Error as opening the dataset would. */
export async function sampleShapeOf(spec: DatasetSpec): Promise<{ readonly shape: readonly number[]; readonly whole: boolean; readonly count: number }> {
  // Tokenizing a text takes long, and how long its samples are is known without.
  if (isText(spec.inputs)) return { shape: [spec.sequence ?? DEFAULT_SEQUENCE], whole: true, count: EXAMPLE };
  const source = await openSource(spec);
  try {
    const { shape, whole } = preparationOf(spec, source);
    return { shape, whole, count: source.count };
  } finally { source.close(); }
}
