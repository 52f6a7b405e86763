/** Every method, by id. Listings, pickers, docs and the coverage table are derived from this list. */
import { firstLastHigh } from './allocation/first-last-high';
import { greedy } from './allocation/greedy';
import { knapsack } from './allocation/knapsack';
import { logVariance } from './allocation/log-variance';
import { random } from './allocation/random';
import { uniform } from './allocation/uniform';
import { noise } from './calibration/noise';
import { selfGenerated } from './calibration/self-generated';
import { zeroq } from './calibration/zeroq';
import { bops } from './cost/bops';
import { latency } from './cost/latency';
import { batchNormReEstimation } from './corrections/batch-norm-re-estimation';
import { biasCorrection } from './corrections/bias-correction';
import { isMeasured, isProxy, type Allocator, type Correction, type CostModel, type Generator, type MeasuredMetric, type Method, type ProxyMetric, type PtqMethod, type RangeMethod, type SensitivityMetric, type Transform } from './method';
import { adaround } from './ptq/adaround';
import { comq } from './ptq/comq';
import { gptq } from './ptq/gptq';
import { hqq } from './ptq/hqq';
import { importance } from './ptq/importance';
import { mseClip } from './ptq/mse-clip';
import { rtn } from './ptq/rtn';
import { adaquant, flexround, signround } from './ptq/straight-through';
import { entropyRange } from './ranges/entropy';
import { dynamicRange, maxRange } from './ranges/max';
import { mseRange } from './ranges/mse';
import { percentileRange } from './ranges/percentile';
import { activationWeighted } from './sensitivity/activation-weighted';
import { cca } from './sensitivity/cca';
import { depthPrior } from './sensitivity/depth-prior';
import { featureEntropy } from './sensitivity/feature-entropy';
import { lim } from './sensitivity/lim';
import { limZd } from './sensitivity/lim-zd';
import { measuredMetrics } from './sensitivity/measured';
import { pruneKl } from './sensitivity/prune-kl';
import { qsur } from './sensitivity/qsur';
import { typePrior } from './sensitivity/type-prior';
import { weightMse } from './sensitivity/weight-mse';
import { weightNsr } from './sensitivity/weight-nsr';
import { weightSse } from './sensitivity/weight-sse';
import { awq } from './transforms/awq';
import { crossLayerEqualization } from './transforms/cross-layer-equalization';
import { hadamard } from './transforms/hadamard';
import { outlierSuppressionPlus } from './transforms/outlier-suppression-plus';
import { smoothquant } from './transforms/smoothquant';
import { smoothquantPlus } from './transforms/smoothquant-plus';

const all: readonly Method[] = [rtn, mseClip, hqq, importance, gptq, comq, adaround, adaquant, flexround, signround, smoothquant, smoothquantPlus, outlierSuppressionPlus, awq, crossLayerEqualization, hadamard, maxRange, percentileRange, mseRange, entropyRange, dynamicRange, biasCorrection, batchNormReEstimation, weightNsr, weightSse, weightMse, limZd, depthPrior, typePrior, ...measuredMetrics, pruneKl, activationWeighted, lim, cca, qsur, featureEntropy, knapsack, greedy, logVariance, uniform, firstLastHigh, random, bops, latency, zeroq, selfGenerated, noise];

/** Short names that people type. */
const ALIASES: Readonly<Record<string, string>> = { nsr: 'weight-nsr', sse: 'weight-sse', mse: 'weight-mse', zd: 'lim-zd' };

export function methods(): readonly Method[] {
  return all;
}

/** The method of an id or alias; undefined when there is none. */
export function method(id: string): Method | undefined {
  return all.find((each) => each.id === id) ?? all.find((each) => each.id === aliased(id));
}
/** What a short name stands for; the id itself where it is none. */
export const aliased = (id: string): string => (Object.hasOwn(ALIASES, id) ? ALIASES[id]! : id);

interface MethodOfKind { ptq: PtqMethod; sensitivity: SensitivityMetric; measured: MeasuredMetric; proxy: ProxyMetric; allocation: Allocator; cost: CostModel; calibration: Generator; transform: Transform; range: RangeMethod; correction: Correction }

/** The method of an id and kind: methods of two kinds may share a name. @throws RangeError naming the methods of that kind. */
export function methodOfKind<K extends keyof MethodOfKind>(kind: K, id: string): MethodOfKind[K] {
  const own = all.filter((each): each is Method & MethodOfKind[K] => isOfKind(kind, each));
  const found = own.find((each) => each.id === id) ?? own.find((each) => each.id === aliased(id));
  if (found) return found;
  throw new RangeError(`"${id.slice(0, 80)}" is not a ${kind} method; known: ${own.map((each) => each.id).join(', ')}`);
}

/** `measured` are the sensitivity metrics that run the model with layers changed, `proxy` those that look at it as it is, `sensitivity` those that read weights alone. */
function isOfKind<K extends keyof MethodOfKind>(kind: K, each: Method): each is MethodOfKind[K] & Method {
  if (each.kind !== 'sensitivity') return each.kind === kind;
  return kind === (isMeasured(each) ? 'measured' : isProxy(each) ? 'proxy' : 'sensitivity');
}
