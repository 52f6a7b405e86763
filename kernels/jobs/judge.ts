/** Judge: recipes of one model, each as a whole, on the same data. Weights are rounded to nearest. */
import { parseFormat } from '../formats/registry';
import { Judging } from '../run/judging';
import { toMatrix, toStored } from '../run/weight-matrix';
import { JobError, type Job, type JobContext, type JudgedRecipe, type JudgeParams, type JudgeResult } from './job';
import { usedData, withRun, type OpenRun } from './model-run';
import { formatForJob, resolveWeight, tensorsByName, type ResolvedWeight } from './weights';

/** Share of the memory limit for the unquantized model's outputs, and for weights that are kept quantized. */
const MEMORY_SHARE = 0.25;

export const judgeJob: Job<'judge'> = {
  kind: 'judge',
  run: (params: JudgeParams, context: JobContext): Promise<JudgeResult> => withRun(params, context, async (run) => {
    const started = performance.now();
    if (params.recipes.length === 0) throw new JobError('there is nothing to judge: no recipe was given');
    const weights = new QuantizedWeights(params, run, context.memoryCapBytes * MEMORY_SHARE);
    const samples = run.indices.length;
    const total = (params.recipes.length + 1) * samples;
    const step = (from: number, title: string) => (done: number): void => { context.throwIfCancelled(); context.progress(from + done, total, title); };
    const judging = await Judging.open({ ...run, task: params.task, output: run.output.name, memory: context.memoryCapBytes * MEMORY_SHARE }, step(0, 'Judging the unquantized model'));
    try {
      const recipes: JudgedRecipe[] = [];
      for (const [i, { title, formats }] of params.recipes.entries()) {
        recipes.push({ title, ...await judging.judge(run.model.with({ changed: weights.of(formats) }), step((i + 1) * samples, `Judging ${title}`)), bits: weights.bits(formats) });
      }
      const { loss, accuracy } = judging.baseline;
      return { baseline: { loss, accuracy }, recipes, samples, seconds: (performance.now() - started) / 1000, ...usedData(run.dataset) };
    } finally { await judging.close(); }
  }),
};

/** Weights in formats, each made once as long as memory allows: recipes share most of them. */
class QuantizedWeights {
  private readonly weights: ReadonlyMap<string, ResolvedWeight>;
  private readonly known = new Map<string, Float32Array>();
  private bytes = 0;

  constructor(private readonly params: JudgeParams, private readonly run: OpenRun, private readonly memory: number) {
    const byName = tensorsByName(run.model.checkpoint);
    this.weights = new Map(params.weights.map((spec) => {
      const weight = resolveWeight(run.model.checkpoint, byName, spec);
      if (typeof weight === 'string') throw new JobError(`${spec.key}: ${weight}; leave this layer out`);
      return [spec.key, weight];
    }));
  }

  of(formats: Readonly<Record<string, string>>): Map<string, Float32Array> {
    return new Map(Object.entries(formats).map(([key, id]) => [this.weight(key).tensor.name, this.values(key, id)]));
  }
  bits(formats: Readonly<Record<string, string>>): number {
    return Object.entries(formats).reduce((sum, [key, id]) => sum + formatForJob(id).storage(this.weight(key).layout).totalBits, 0);
  }

  private weight(key: string): ResolvedWeight {
    const weight = this.weights.get(key);
    if (!weight) throw new JobError(`a recipe names ${JSON.stringify(key)}, which is not among the weights`);
    return weight;
  }
  private values(key: string, id: string): Float32Array {
    const name = `${key}\0${id}`;
    const found = this.known.get(name);
    if (found) return found;
    const { tensor, layout } = this.weight(key);
    const format = parseFormat(formatForJob(id).id);
    const values = toStored(format.decode(format.encode(toMatrix(this.run.model.values(tensor.name), layout), layout, this.params.scaleRule)), layout);
    if (this.bytes + values.byteLength <= this.memory) {
      this.known.set(name, values);
      this.bytes += values.byteLength;
    }
    return values;
  }
}
