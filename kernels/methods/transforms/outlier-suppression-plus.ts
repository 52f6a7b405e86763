import { biasPlace } from '../../graph/bias';
import { eachChannel, tensorOf, type ChannelUse } from '../../graph/channel-uses';
import { producers } from '../../graph/cut';
import type { ChannelRanges } from '../../run/channel-ranges';
import { sitesOf } from '../../run/sites';
import { toMatrix } from '../../run/weight-matrix';
import type { ModelWork, Transform, TransformLayer } from '../method';
import { eachScaledWeight, leftOut, moveFactors, rescalePlaces, usable, type RescalePlace } from './rescale';
import { rangesOf } from './smoothquant';

/** Bits of activations where the trial does not round them. */
const USUAL_BITS = 8;
/** Operators that a shift goes through as it is. */
const LAYOUT = new Set(['Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Identity', 'Dropout']);

export const outlierSuppressionPlus: Transform = {
  id: 'outlier-suppression-plus',
  kind: 'transform',
  title: 'Outlier Suppression+: channels of activations shifted to their middle, and those beyond a threshold scaled down',
  source: 'Wei et al., Outlier Suppression+: Accurate quantization of large language models by equivalent and effective shifting and scaling, 2023, eq. 3 to 8; the noise of rounded inputs is modelled as uniform when the threshold is searched',
  needs: 'calibration',
  catalogue: ['outlier-suppression-plus'],
  parameters: {
    shift: { type: 'boolean', default: true, description: 'Shift channels to their middle where biases on both sides can hold it.' },
    steps: { type: 'integer', default: 50, minimum: 2, maximum: 500, description: 'Thresholds that are tried at each place.' },
  },
  async run(work) {
    const { places, of } = rescalePlaces(work);
    const changed = new Map<string, Float32Array>();
    if (places.length === 0) return { changed, places: 0, of, notes: leftOut(0, of, 'scaled') };
    const ranges = await rangesOf(work, places, (share) => { work.step(share * 0.3); });
    let shifted = 0;
    for (const [i, place] of places.entries()) {
      const own = ranges[i]!;
      const biases = work.options.shift === false ? null : shiftBiases(work, place);
      const middle = own.minimum.map((low, j) => (biases ? (low + own.maximum[j]!) / 2 : 0));
      if (biases) { moveShift(work, place, biases, middle, changed); shifted += 1; }
      const factors = search(work, place, own, middle, Number(work.options.steps ?? 50), changed, (share) => { work.step(0.3 + (0.7 * (i + share)) / places.length); });
      moveFactors(work, place.group, factors, changed);
    }
    const notes = leftOut(places.length, of, 'scaled');
    if (work.options.shift !== false && shifted < places.length) notes.push(`channels are shifted at ${shifted} of ${places.length} places: elsewhere a bias is missing before or after, or values are padded or activated between`);
    if (work.layers.every(({ activations }) => !activations)) notes.push(`activations stay in floating point in this trial; thresholds are those of ${USUAL_BITS} bits`);
    return { changed, places: places.length, of, notes };
  },
};

/** A bias behind a layer that takes the shifted values, with the weight that tells how much of the shift arrives. */
interface ShiftBias { readonly tensor: string; readonly sign: 1 | -1; readonly use: ChannelUse; readonly layer: Pick<TransformLayer, 'tensor' | 'layout'> }

/** Where a shift can go: a parameter before that shifts, and a bias of every layer after; null where one is missing. */
function shiftBiases({ model: { graph }, layers }: ModelWork, { group }: RescalePlace): ShiftBias[] | null {
  if (!group.before.some(({ role }) => role === 'shifts') || group.before.some(({ role }) => role === 'mean' || role === 'variance')) return null;
  const made = producers(graph);
  // One place where the values begin; from there on they are only laid out otherwise.
  if ([...group.values].filter((value) => !LAYOUT.has(made.get(value)?.op ?? '')).length !== 1) return null;
  const found: ShiftBias[] = [];
  for (const use of group.after) {
    const layer = layers.find(({ tensor }) => tensor === tensorOf(use));
    const [site, ...more] = layer ? sitesOf(graph, layer.tensor) : [];
    if (!layer || !site || more.length > 0 || site.kind !== 'linear') return null;
    const output = [...graph.values ?? [], ...graph.outputs].find(({ name }) => name === site.output);
    const bias = output && biasPlace(graph, site.node, output.shape.length - 1, layer.layout.rows);
    if (!bias) return null;
    found.push({ tensor: bias.tensor, sign: bias.sign, use, layer });
  }
  return found;
}

/** x becomes x - z before, W z comes to the biases after: W x + b = W (x - z) + (b + W z). */
function moveShift({ model }: ModelWork, { group }: RescalePlace, biases: readonly ShiftBias[], middle: Float64Array, changed: Map<string, Float32Array>): void {
  const valuesOf = (tensor: string): Float32Array => changed.get(tensor) ?? model.values(tensor);
  // The last parameter that shifts takes all of it: those before would be scaled on the way.
  const shift = group.before.findLast(({ role }) => role === 'shifts')!;
  const lowered = valuesOf(tensorOf(shift)!).slice();
  eachChannel(shift, (element, channel) => { lowered[element]! -= middle[channel]!; });
  changed.set(tensorOf(shift)!, lowered);
  for (const { tensor, sign, layer: { tensor: weight, layout } } of biases) {
    const matrix = toMatrix(valuesOf(weight), layout);
    const raised = valuesOf(tensor).slice();
    for (let row = 0; row < layout.rows; row += 1) {
      let sum = 0;
      for (let j = 0; j < layout.cols; j += 1) sum += matrix[row * layout.cols + j]! * middle[j]!;
      raised[row]! += sign * sum;
    }
    changed.set(tensor, raised);
  }
}

/** s_j = max(1, range_j / t) with the threshold t of least error: of inputs with one range for all, and of weights weighted by the energy of inputs. */
function search(work: ModelWork, place: RescalePlace, { minimum, maximum, mean, energy }: ChannelRanges, middle: Float64Array, steps: number, changed: ReadonlyMap<string, Float32Array>, step: (share: number) => void): Float64Array {
  const ranges = minimum.map((low, j) => Math.max(Math.abs(low - middle[j]!), Math.abs(maximum[j]! - middle[j]!)));
  const centered = energy.map((square, j) => Math.max(0, square - 2 * middle[j]! * mean[j]! + middle[j]! ** 2));
  const most = Math.max(...ranges);
  let [best, least]: [Float64Array, number] = [new Float64Array(place.group.channels).fill(1), Infinity];
  if (!(most > 0)) return best;
  for (let k = 0; k < steps; k += 1) {
    step(k / steps);
    const threshold = (most * (steps - k)) / steps;
    const factors = usable(ranges.map((range) => Math.max(1, range / threshold)));
    const reached = Math.max(...ranges.map((range, j) => range / factors[j]!));
    let loss = 0;
    eachScaledWeight(work, place, factors, changed, (value, rounded, channel, { activations }) => {
      const noise = ((2 * reached) / (2 ** (activations?.codeBits ?? USUAL_BITS) - 1)) ** 2 / 12;
      loss += value ** 2 * noise + ((rounded - value) / factors[channel]!) ** 2 * centered[channel]!;
    });
    if (loss < least) { least = loss; best = factors; }
  }
  return best;
}
