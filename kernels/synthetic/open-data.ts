/** Opens the data of a job: from files, or made up for the model. */
import { createHash } from 'node:crypto';
import { AUTO, isSynthetic, type Dataset, type DatasetSpec, type SampleShape, type SyntheticFacts, type SyntheticSpec, type Task } from '../data/data';
import { openDataset } from '../data/open';
import type { Generator } from '../methods/method';
import { methodOfKind } from '../methods/registry';
import { Feed, mainOutput } from '../run/feed';
import type { PreparedModel } from '../run/prepared-model';
import { JobError, type JobContext } from '../jobs/job';
import { heldSamples } from './held-samples';
import type { Made, Synthesis } from './synthesis';

/** Methods that `auto` chooses from: the first that can make samples for the model. Noise is the last resort. */
const SUITED = ['zeroq', 'self-generated', 'noise'];

/** @throws JobError when the method cannot make samples for this model; else as {@link openDataset} */
export async function openData(spec: DatasetSpec, model: PreparedModel, task: Task, context: JobContext): Promise<Dataset> {
  return isSynthetic(spec) ? synthesized(spec, model, task, context) : openDataset(spec);
}

async function synthesized(spec: SyntheticSpec, model: PreparedModel, task: Task, context: JobContext): Promise<Dataset> {
  if (!spec.sample) throw new JobError('synthetic data needs the shape of a sample');
  const { seed = 0 } = spec;
  const { input, sample } = modelInput(model, spec.sample);
  const target: Synthesis = {
    model, task, input, sample, seed, count: 0, output: mainOutput(model.graph),
    throwIfCancelled: () => context.throwIfCancelled(),
    progress: (done, total) => context.progress(done, total, 'Making synthetic data'),
  };
  const method = generatorFor(spec.synthetic, target);
  const count = spec.samples ?? method.usual;
  const made = await madeOnce(JSON.stringify([model.checkpoint.files.map(({ identity }) => identity), method.id, task, sample, seed, count]), model, () => method.run({ ...target, count }));
  const facts: SyntheticFacts = { method: method.id, seed, ...(made.distance ? { distance: made.distance } : {}) };
  return heldSamples(made.samples, titleOf(made), facts);
}

/** The input that samples of this shape go to, and their shape as that input has it (channels last, say). */
function modelInput(model: PreparedModel, { shape, whole }: SampleShape): Pick<Synthesis, 'input' | 'sample'> {
  const data = whole ? new BigInt64Array(shape.reduce((a, b) => a * b, 1)) : new Float32Array(shape.reduce((a, b) => a * b, 1));
  const probe = new Feed(model.graph, heldSamples({ type: whole ? 'I64' : 'F32', shape: [1, ...shape], data }, 'synthetic data', { method: '', seed: 0 }));
  return { input: probe.main, sample: { shape: probe.inputs([0]).get(probe.main.name)!.shape.slice(1), whole: probe.main.type !== 'F32' } };
}

function generatorFor(id: string, target: Synthesis): Generator {
  if (id === AUTO) return SUITED.map((each) => methodOfKind('calibration', each)).find((each) => each.refuses(target) === null) ?? generatorFor('noise', target);
  let found: Generator;
  try {
    found = methodOfKind('calibration', id);
  } catch (error) {
    throw error instanceof RangeError ? new JobError(error.message) : error;
  }
  const reason = found.refuses(target);
  if (reason !== null) throw new JobError(`${found.id} cannot make data for this model: ${reason}`);
  return found;
}

const titleOf = ({ what, distance }: Made): string => `synthetic data: ${what}${distance ? `, distance ${distance.before.toPrecision(3)} to ${distance.after.toPrecision(3)}` : ''}`;

/** Samples that were made last: an allocation opens the same data for every recipe that it judges. */
const kept = new Map<string, Made>();
const MOST_KEPT = 4;
async function madeOnce(key: string, model: PreparedModel, make: () => Promise<Made>): Promise<Made> {
  if (model.changes.size > 0) return make();
  const name = createHash('sha256').update(key).update(JSON.stringify(model.graph)).digest('hex');
  const made = kept.get(name) ?? await make();
  kept.delete(name);
  kept.set(name, made);
  for (const oldest of [...kept.keys()].slice(0, -MOST_KEPT)) kept.delete(oldest);
  return made;
}
