/** The shape of a dataset's samples. */
import { isSynthetic, type DatasetSpec, type SampleShape } from './data';
import { preparationOf } from './open';
import { isText, openSource } from './sources';
import { DEFAULT_SEQUENCE } from './tokens';

/** Samples of a text before it is tokenized, or of what is yet to be made: an example of a number that stays free. */
const EXAMPLE = 2;

/** @throws CheckpointError or Error as opening the dataset would. */
export async function sampleShapeOf(spec: DatasetSpec): Promise<SampleShape & { readonly count: number }> {
  if (isSynthetic(spec)) {
    if (!spec.sample) throw new Error('the shape of synthetic samples is not known before the model is');
    return { ...spec.sample, count: EXAMPLE };
  }
  // Tokenizing a text takes long, and how long its samples are is known without.
  if (isText(spec.inputs)) return { shape: [spec.sequence ?? DEFAULT_SEQUENCE], whole: true, count: EXAMPLE };
  const source = await openSource(spec);
  try {
    const { shape, whole } = preparationOf(spec, source);
    return { shape, whole, count: source.count };
  } finally { source.close(); }
}
