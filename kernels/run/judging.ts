/** The model with some weights replaced, judged beside the model as it is: what trials and comparisons of recipes report. */
import type { Dataset, Task } from '../data/data';
import { estimate, figuresOf, isLabelled, labelsOf, scoreBatch, trimmed, type SampleScore } from './judge';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';
import type { NamedArray, RunningModel } from './run-model';

export interface JudgingParams {
  readonly task: Task;
  readonly model: PreparedModel;
  readonly dataset: Dataset;
  readonly feed: Feed;
  /** Name of the output that is judged. */
  readonly output: string;
  readonly indices: readonly number[];
  /** Bytes that outputs of the unquantized model may take; when they take more, it runs again each time. */
  readonly memory: number;
}
export interface LabelFigures { readonly loss: number | null; readonly lossStderr: number | null; readonly accuracy: number | null }
export interface JudgedFigures extends LabelFigures {
  /** Mean divergence from the unquantized model's output in nats; null for tasks without classes. */
  readonly kl: number | null;
  readonly klStderr: number | null;
  /** Noise to signal of the output: sum |y' - y|^2 / sum |y|^2. */
  readonly nsr: number;
}

export class Judging {
  private readonly outputs: (NamedArray | null)[] = [];
  private readonly base: SampleScore[] = [];
  private readonly labelled: boolean;

  private constructor(private readonly params: JudgingParams, private readonly original: RunningModel) {
    this.labelled = isLabelled(params.task, params.dataset);
  }

  /** Runs the model as it is. @param step called before each batch with the samples done; throws to cancel */
  static async open(params: JudgingParams, step: (done: number) => void): Promise<Judging> {
    const judging = new Judging(params, await params.model.start());
    try {
      await judging.readBase(step);
      return judging;
    } catch (error) {
      await judging.close();
      throw error;
    }
  }

  private async readBase(step: (done: number) => void): Promise<void> {
    const { feed, indices, memory, task } = this.params;
    let kept = 0;
    for (const batch of feed.batches(indices)) {
      step(this.base.length);
      const output = await this.outputOf(this.original, batch);
      this.base.push(...scoreBatch(task, output, this.labels(batch), null));
      kept += output.data.byteLength;
      this.outputs.push(kept <= memory ? output : null);
    }
  }

  get baseline(): LabelFigures {
    return this.figures(this.base);
  }

  /** @param changed the model whose output is judged beside that of the model as it is */
  async judge(changed: PreparedModel, step: (done: number) => void): Promise<JudgedFigures> {
    const { feed, indices, task } = this.params;
    const scores: SampleScore[] = [];
    const running = await changed.start();
    try {
      for (const [i, batch] of feed.batches(indices).entries()) {
        step(scores.length);
        const base = this.outputs[i] ?? await this.outputOf(this.original, batch);
        scores.push(...scoreBatch(task, await this.outputOf(running, batch), this.labels(batch), base));
      }
    } finally { await running.close(); }
    const classes = task === 'classification' || task === 'language-model';
    const kl = classes ? estimate(scores.map((each) => each.kl), scores.map((each) => each.compared)) : null;
    const power = scores.reduce((sum, each) => sum + each.power, 0);
    return { ...this.figures(scores), kl: kl?.value ?? null, klStderr: kl?.stderr ?? null, nsr: power > 0 ? scores.reduce((sum, each) => sum + each.error, 0) / power : 0 };
  }

  close(): Promise<void> {
    return this.original.close();
  }

  private async outputOf(running: RunningModel, batch: readonly number[]): Promise<NamedArray> {
    return trimmed((await running.run(this.params.feed.inputs(batch))).get(this.params.output)!, batch.length);
  }
  private labels(batch: readonly number[]): NamedArray | null {
    return labelsOf(this.params.task, this.params.dataset, batch);
  }
  private figures(scores: readonly SampleScore[]): LabelFigures {
    if (!this.labelled) return { loss: null, lossStderr: null, accuracy: null };
    const { loss, lossStderr, accuracy } = figuresOf(this.params.task, scores);
    return { loss, lossStderr, accuracy };
  }
}
