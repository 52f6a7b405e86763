/** Sensitivity by running the model: outputs with a layer quantized beside those of the unquantized model, on data. */
import { estimate, type Estimate, type SampleScore } from '../../run/judge';
import type { MeasuredMetric } from '../method';

const pick = (scores: readonly SampleScore[], sum: (score: SampleScore) => number, weight: (score: SampleScore) => number): Estimate => estimate(scores.map(sum), scores.map(weight));
const shared = { kind: 'sensitivity', needs: 'calibration', parameters: {} } as const;

/** KL divergence of the model's predicted distribution: what a user of the model sees. */
export const kl: MeasuredMetric = {
  ...shared, id: 'kl', title: 'KL divergence of the model\'s output, one layer quantized', unit: 'nats', observes: 'model', changes: 'one', labels: false, tasks: ['classification', 'language-model'],
  source: 'Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, 2020, eq. 2 (on data of your own); Liu et al., PD-Quant, 2023 (prediction difference)',
  catalogue: ['zeroq', 'pd-quant'],
  score: (scores) => pick(scores, (each) => each.kl, (each) => each.compared),
};

/** Increase of the task's loss. May be negative: a layer can be luckier quantized, and the error bar says whether it matters. */
export const loss: MeasuredMetric = {
  ...shared, id: 'loss', title: 'Increase of the task\'s loss, one layer quantized', unit: 'loss', observes: 'model', changes: 'one', labels: true, tasks: ['classification', 'language-model', 'regression'],
  source: 'Definition: mean loss with the layer quantized minus mean loss without, on the same samples', catalogue: [],
  score: (scores, base) => estimate(scores.map((each, i) => each.loss - base[i]!.loss), scores.map((each) => each.positions)),
};

/** Noise to signal of the model's output; for models that give no classes. */
export const modelNsr: MeasuredMetric = {
  ...shared, id: 'model-nsr', title: 'Noise-to-signal ratio of the model\'s output, one layer quantized', unit: 'ratio', observes: 'model', changes: 'one', labels: false, tasks: null,
  source: 'Definition: sum of squared output differences over sum of squared outputs', catalogue: [],
  score: (scores) => pick(scores, (each) => each.error, (each) => each.power),
};

/** Squared error of the layer's own output: mean |(W - W')x|^2 per output value. */
export const outputMse: MeasuredMetric = {
  ...shared, id: 'output-mse', title: 'Mean squared error of the layer\'s output', unit: 'output^2', observes: 'layer', changes: 'one', labels: false, tasks: null,
  source: 'Definition: mean of squared differences of the layer\'s output on the same inputs', catalogue: [],
  score: (scores) => pick(scores, (each) => each.error, (each) => each.values),
};

/** Noise to signal of the layer's own output, the inverse of its SQNR; comparable between layers. */
export const outputNsr: MeasuredMetric = {
  ...shared, id: 'output-nsr', title: 'Noise-to-signal ratio of the layer\'s output', unit: 'ratio', observes: 'layer', changes: 'one', labels: false, tasks: null,
  source: 'Definition: sum of squared output differences over sum of squared outputs; SQNR is -10 log10 of it', catalogue: [],
  score: (scores) => pick(scores, (each) => each.error, (each) => each.power),
};

/** 1 - cosine of the layer's output with and without quantization, mean over samples. */
export const outputCosine: MeasuredMetric = {
  ...shared, id: 'output-cosine', title: 'Cosine distance of the layer\'s output', unit: '1 - cosine', observes: 'layer', changes: 'one', labels: false, tasks: null,
  source: 'Definition: 1 - <y, y\'> / (|y| |y\'|), mean over samples', catalogue: [],
  score: (scores) => pick(scores, (each) => { const norm = Math.sqrt(each.power * each.ownPower); return norm > 0 ? Math.max(0, 1 - each.product / norm) : 0; }, () => 1),
};

/** What the model's output loses because of this layer when all the others are quantized too: interactions count. */
export const klKept: MeasuredMetric = {
  ...shared, id: 'kl-kept', title: 'KL divergence that keeping this layer in full precision saves, all others quantized', unit: 'nats', observes: 'model', changes: 'all-but-one', labels: false, tasks: ['classification', 'language-model'],
  source: 'Definition: KL with all layers quantized minus KL with all but this one', catalogue: [],
  score: (scores, base) => estimate(scores.map((each, i) => base[i]!.kl - each.kl), scores.map((each) => each.compared)),
};

export const measuredMetrics: readonly MeasuredMetric[] = [kl, loss, modelNsr, outputMse, outputNsr, outputCosine, klKept];
