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
import { isMeasured, type Allocator, type CostModel, type Generator, type MeasuredMetric, type Method, type PtqMethod, type SensitivityMetric } from './method';
import { adaround } from './ptq/adaround';
import { comq } from './ptq/comq';
import { gptq } from './ptq/gptq';
import { hqq } from './ptq/hqq';
import { importance } from './ptq/importance';
import { mseClip } from './ptq/mse-clip';
import { rtn } from './ptq/rtn';
import { adaquant, flexround, signround } from './ptq/straight-through';
import { measuredMetrics } from './sensitivity/measured';
import { limZd } from './sensitivity/lim-zd';
import { weightMse } from './sensitivity/weight-mse';
import { weightNsr } from './sensitivity/weight-nsr';
import { weightSse } from './sensitivity/weight-sse';

const all: readonly Method[] = [rtn, mseClip, hqq, importance, gptq, comq, adaround, adaquant, flexround, signround, weightNsr, weightSse, weightMse, limZd, ...measuredMetrics, knapsack, greedy, logVariance, uniform, firstLastHigh, random, bops, latency, zeroq, selfGenerated, noise];

/** Short names that people type. */
const ALIASES: Readonly<Record<string, string>> = { nsr: 'weight-nsr', sse: 'weight-sse', mse: 'weight-mse', zd: 'lim-zd' };

export function methods(): readonly Method[] {
  return all;
}

/** The method of an id or alias; undefined when there is none. */
export function method(id: string): Method | undefined {
  const name = Object.hasOwn(ALIASES, id) ? ALIASES[id] : id;
  return all.find((each) => each.id === name);
}

interface MethodOfKind { ptq: PtqMethod; sensitivity: SensitivityMetric; measured: MeasuredMetric; allocation: Allocator; cost: CostModel; calibration: Generator }

/** The method of an id and kind. @throws RangeError naming the methods of that kind. */
export function methodOfKind<K extends keyof MethodOfKind>(kind: K, id: string): MethodOfKind[K] {
  const found = method(id);
  if (found && isOfKind(kind, found)) return found;
  const known = all.filter((each) => isOfKind(kind, each)).map((each) => each.id).join(', ');
  throw new RangeError(`"${id.slice(0, 80)}" is not a ${kind} method; known: ${known}`);
}

/** `measured` are the sensitivity metrics that run the model, `sensitivity` those that read weights alone. */
function isOfKind<K extends keyof MethodOfKind>(kind: K, each: Method): each is MethodOfKind[K] & Method {
  if (each.kind !== 'sensitivity') return each.kind === kind;
  return kind === (isMeasured(each) ? 'measured' : 'sensitivity');
}
