/** Opens a dataset: what the inputs are decides how they are read. */
import { elementCount } from '../checkpoint';
import type { NamedArray } from '../run/run-model';
import { SampleArray } from './arrays';
import type { Dataset, FileSpec, SampleSource } from './data';
import { preprocessing, type Preparation } from './preprocess';
import { openSource } from './sources';

/**
 * @throws CheckpointError or Error naming the file and what is wrong: missing, of a wrong rank, with another number of labels, or empty.
 */
export async function openDataset(spec: FileSpec): Promise<Dataset> {
  const inputs = await openSource(spec);
  let labels: SampleSource | null = null;
  try {
    labels = spec.labels === undefined ? classLabels(inputs) : await SampleArray.open(spec.labels);
    return dataset(spec, inputs, labels);
  } catch (error) {
    inputs.close();
    labels?.close();
    throw error;
  }
}

/** The classes that a source knows itself, one number per sample. */
function classLabels({ name, count, classes }: SampleSource): SampleSource | null {
  return classes && { name, count, shape: [], whole: true, ids: false, classes: null, sample: (index, out) => { out[0] = classes[index]!; }, close: () => undefined };
}

function dataset(spec: FileSpec, inputs: SampleSource, labels: SampleSource | null): Dataset {
  if (inputs.count === 0) throw new Error(`${spec.inputs} holds no samples`);
  if (labels && labels.count !== inputs.count) throw new Error(`${spec.labels} holds ${labels.count} labels for the ${inputs.count} samples of ${spec.inputs}; there must be one for each`);
  const prepare = preparationOf(spec, inputs);
  const per = elementCount(inputs.shape);
  const raw = new Float64Array(per);
  return {
    title: spec.inputs.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, ''),
    count: inputs.count, hasLabels: labels !== null, sample: { shape: prepare.shape, whole: prepare.whole },
    inputs(indices): NamedArray {
      const shape = [indices.length, ...prepare.shape];
      if (prepare.whole) {
        const data = new BigInt64Array(indices.length * per);
        indices.forEach((index, n) => { inputs.sample(index, raw); for (let i = 0; i < per; i += 1) data[n * per + i] = BigInt(raw[i]!); });
        return { type: 'I64', shape, data };
      }
      const data = new Float32Array(indices.length * per);
      indices.forEach((index, n) => { inputs.sample(index, raw); prepare.apply(raw, data.subarray(n * per, (n + 1) * per)); });
      for (let i = 0; i < data.length; i += 1) if (!Number.isFinite(data[i]!)) throw new Error(`${spec.inputs}: sample ${indices[Math.floor(i / per)]} holds NaN or infinite values`);
      return { type: 'F32', shape, data };
    },
    labels(indices): NamedArray {
      if (!labels) throw new Error(`${spec.inputs} has no labels`);
      const many = elementCount(labels.shape);
      const one = new Float64Array(many);
      const data = new Float32Array(indices.length * many);
      const whole = labels.whole ? new BigInt64Array(indices.length * many) : null;
      indices.forEach((index, n) => {
        labels.sample(index, one);
        for (let i = 0; i < many; i += 1) if (whole) whole[n * many + i] = BigInt(one[i]!); else data[n * many + i] = one[i]!;
      });
      return whole ? { type: 'I64', shape: [indices.length, ...labels.shape], data: whole } : { type: 'F32', shape: [indices.length, ...labels.shape], data };
    },
    close() { inputs.close(); labels?.close(); },
  };
}

/** How samples become inputs: what the source is says what is usual, and what was asked for goes first. */
export function preparationOf({ preprocess, inputs }: FileSpec, { shape, ids, usual }: Pick<SampleSource, 'shape' | 'ids' | 'usual'>): Preparation {
  return preprocessing(usual ? { ...usual, ...preprocess } : preprocess, shape, ids, inputs);
}
