/**
 * What outputs are worth: loss and accuracy against labels, and distance from the unquantized model's outputs. Per sample, so
 * that every mean has an error bar.
 */
import type { Dataset, Task } from '../data/data';
import type { NamedArray } from './run-model';

/** Sums over one sample. */
export interface SampleScore {
  /** Sum of losses over `positions`: negative log likelihood in nats, or squared error. */
  loss: number;
  positions: number;
  /** Positions whose best class is the label's. */
  right: number;
  /** Sum over `compared` positions: Kullback-Leibler divergence from the reference in nats. */
  kl: number;
  /** Sums of squares over all values: difference from the reference, reference, other, and their product. */
  error: number;
  power: number;
  ownPower: number;
  product: number;
  values: number;
  compared: number;
}

/** Mean and standard error of a mean (sample standard deviation / sqrt(n)), over samples of any number of positions. */
export interface Estimate { readonly value: number; readonly stderr: number | null }

/** @param weights positions of each sample: the mean is sum / sum, its error that of a ratio of means. */
export function estimate(sums: readonly number[], weights: readonly number[]): Estimate {
  const n = sums.length;
  const total = weights.reduce((a, b) => a + b, 0);
  const value = sums.reduce((a, b) => a + b, 0) / total;
  if (n < 2) return { value, stderr: null };
  let squares = 0;
  for (let i = 0; i < n; i += 1) squares += (sums[i]! - value * weights[i]!) ** 2;
  return { value, stderr: Math.sqrt((squares * n) / (n - 1)) / total };
}

/**
 * Scores a batch of class scores or values.
 *
 * @param output [N, classes], [N, T, classes] (language model) or [N, classes, ...] (one class per place)
 * @param labels classes [N] or [N, ...]; token ids [N, T] for a language model; values like the output for a regression; null when there are none
 * @param reference outputs of the unquantized model, same shape; null when not asked for
 * @throws Error when shapes do not fit, naming both.
 */
export function scoreBatch(task: Task, output: NamedArray, labels: NamedArray | null, reference: NamedArray | null): SampleScore[] {
  const batch = output.shape[0]!;
  const values = output.data as Float32Array;
  const base = reference ? reference.data as Float32Array : null;
  if (base && base.length !== values.length) throw new Error(`outputs of ${values.length} values are compared with ${base.length}`);
  const per = values.length / Math.max(1, batch);
  const scores = Array.from({ length: batch }, (): SampleScore => ({ loss: 0, positions: 0, right: 0, kl: 0, error: 0, power: 0, ownPower: 0, product: 0, values: per, compared: 0 }));
  const layout = classLayout(task, output.shape);
  for (let n = 0; n < batch; n += 1) {
    const score = scores[n]!;
    if (base) addDistance(score, values, base, n * per, per);
    if (layout) addClasses(score, task, layout, values, base, labels, n, per);
    else if (task === 'regression' && labels) addSquared(score, values, labels, n, per);
  }
  return scores;
}

/** Where the scores of one place lie: `classes` values `stride` apart, for each of `places` places of a sample. */
interface ClassLayout { readonly classes: number; readonly stride: number; readonly places: number }
function classLayout(task: Task, shape: readonly number[]): ClassLayout | null {
  if (task === 'language-model') {
    if (shape.length !== 3) throw new Error(`a language model gives scores [samples, tokens, vocabulary], but the output is [${shape.join(', ')}]`);
    return { classes: shape[2]!, stride: 1, places: shape[1]! };
  }
  if (task !== 'classification') return null;
  if (shape.length < 2) throw new Error(`a classifier gives scores [samples, classes], but the output is [${shape.join(', ')}]`);
  const places = shape.slice(2).reduce((a, b) => a * b, 1);
  return { classes: shape[1]!, stride: places, places };
}

function addClasses(score: SampleScore, task: Task, { classes, stride, places }: ClassLayout, values: Float32Array, base: Float32Array | null, labels: NamedArray | null, n: number, per: number): void {
  const next = task === 'language-model';
  // The last token of a row predicts nothing that is there to compare with.
  const last = next ? places - 1 : places;
  const perLabel = labels ? labels.data.length / labels.shape[0]! : 0;
  for (let place = 0; place < last; place += 1) {
    const at = n * per + (next ? place * classes : place);
    const norm = logSum(values, at, classes, stride);
    if (base) {
      const other = logSum(base, at, classes, stride);
      let kl = 0;
      for (let c = 0, i = at; c < classes; c += 1, i += stride) { const p = base[i]! - other; if (p > -700) kl += Math.exp(p) * (p - (values[i]! - norm)); }
      score.kl += kl;
      score.compared += 1;
    }
    if (!labels) continue;
    const label = Number(labels.data[n * perLabel + (next ? place + 1 : place)]);
    if (label < 0) continue; // -100: not counted, as in PyTorch.
    if (!(label < classes)) throw new Error(`label ${label} is not one of the ${classes} classes of the output`);
    score.loss += norm - values[at + label * stride]!;
    score.positions += 1;
    let best = 0;
    for (let c = 1; c < classes; c += 1) if (values[at + c * stride]! > values[at + best * stride]!) best = c;
    if (best === label) score.right += 1;
  }
}
function logSum(values: Float32Array, at: number, classes: number, stride: number): number {
  let [top, sum] = [-Infinity, 0];
  for (let c = 0, i = at; c < classes; c += 1, i += stride) if (values[i]! > top) top = values[i]!;
  for (let c = 0, i = at; c < classes; c += 1, i += stride) sum += Math.exp(values[i]! - top);
  return top + Math.log(sum);
}
function addDistance(score: SampleScore, values: Float32Array, base: Float32Array, from: number, count: number): void {
  let [error, power, own, product] = [0, 0, 0, 0];
  for (let i = from; i < from + count; i += 1) {
    const [a, b] = [values[i]!, base[i]!];
    error += (a - b) ** 2;
    power += b * b;
    own += a * a;
    product += a * b;
  }
  score.error += error; score.power += power; score.ownPower += own; score.product += product;
}
function addSquared(score: SampleScore, values: Float32Array, labels: NamedArray, n: number, per: number): void {
  const count = labels.data.length / labels.shape[0]!;
  if (count !== per) throw new Error(`an output of ${per} values per sample is compared with labels of ${count}`);
  for (let i = 0; i < per; i += 1) score.loss += (values[n * per + i]! - Number(labels.data[n * per + i])) ** 2;
  score.positions += per;
}

/** Without the samples that only filled up a batch. */
export function trimmed<T extends { readonly shape: readonly number[]; readonly data: unknown }>(array: T, samples: number): T {
  if (array.shape[0] === samples) return array;
  if (array.shape.length === 0 || array.shape[0]! < samples) throw new Error(`the model gives an output of shape [${array.shape.join(', ')}] for ${samples} samples; its first dimension must be the sample`);
  const per = (array.data as Float32Array).length / array.shape[0]!;
  return { ...array, shape: [samples, ...array.shape.slice(1)], data: (array.data as Float32Array).subarray(0, samples * per) };
}

/** How good outputs are, by the task. */
export interface TaskFigures {
  /** What `value` is: accuracy for classification, perplexity for a language model, mse for a regression. */
  readonly metric: 'accuracy' | 'perplexity' | 'mse';
  readonly value: number;
  readonly stderr: number | null;
  /** Mean negative log likelihood in nats, or mean squared error. */
  readonly loss: number;
  readonly lossStderr: number | null;
  readonly accuracy: number | null;
  /** Labels, tokens or values that were judged. */
  readonly positions: number;
}

/** Is there something to be right about: labels, or the tokens that follow? Samples that are made up are followed by nothing true. */
export const isLabelled = (task: Task, dataset: Dataset): boolean => !dataset.synthetic && (task === 'language-model' || (task !== 'features' && dataset.hasLabels));

/** Labels of samples; null where there are none. A language model's are its own tokens. */
export function labelsOf(task: Task, dataset: Dataset, indices: readonly number[]): NamedArray | null {
  if (!isLabelled(task, dataset)) return null;
  return task === 'language-model' ? dataset.inputs(indices) : dataset.labels(indices);
}

/** @throws Error when no label counts. */
export function figuresOf(task: Task, scores: readonly SampleScore[]): TaskFigures {
  const places = scores.map(({ positions }) => positions);
  const positions = places.reduce((a, b) => a + b, 0);
  if (positions === 0) throw new Error('no label counts: all are negative, or every row is a single token');
  const loss = estimate(scores.map((score) => score.loss), places);
  const common = { loss: loss.value, lossStderr: loss.stderr, positions };
  if (task === 'regression') return { metric: 'mse', value: loss.value, stderr: loss.stderr, accuracy: null, ...common };
  const accuracy = estimate(scores.map(({ right }) => right), places);
  if (task === 'classification') return { metric: 'accuracy', value: accuracy.value, stderr: accuracy.stderr, accuracy: accuracy.value, ...common };
  const perplexity = Math.exp(loss.value);
  return { metric: 'perplexity', value: perplexity, stderr: loss.stderr === null ? null : perplexity * loss.stderr, accuracy: accuracy.value, ...common };
}
