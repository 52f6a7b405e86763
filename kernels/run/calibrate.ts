/**
 * Runs calibration samples through a model and gathers, for each weight, the moments of what it is applied to.
 *
 * At once: every layer sees the inputs of the unquantized model. In sequence: each layer sees what the layers before it,
 * already quantized, give, so that later layers make up for earlier ones; values between two layers are computed once and kept.
 */
import type { WeightLayout } from '../formats/blocks';
import { subgraph } from '../graph/cut';
import type { LayerInputs } from '../methods/method';
import type { Feed } from './feed';
import { Random } from '../numerics/random';
import { groupsOf, MomentModel, MomentSums } from './moments';
import type { PreparedModel } from './prepared-model';
import type { NamedArray } from './run-model';
import { correctedTarget } from './target';
import { toMatrix } from './weight-matrix';
import { sitesOf, type LayerSite } from './sites';
import { Walk } from './walk';

/** Input vectors per input that are looked at, at most: beyond that a moment hardly changes. Which ones is drawn at random, seeded. */
const POSITIONS_PER_INPUT = 128;
const LEAST_POSITIONS = 2 ** 14;
/** Values of patches that are held at once, in each of the few copies that are made. */
const MOST_PATCH_VALUES = 2 ** 22;

export interface CalibratedLayer {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly layout: WeightLayout;
}
export interface CalibrateOptions {
  readonly sequential: boolean;
  /** Bytes that moments and kept values may take, each. */
  readonly memory: number;
  readonly threads: number;
  /** Called between runs; throws when cancelled. */
  readonly step: (done: number, total: number) => void;
  /**
   * Called once for each layer, in the order in which they run. `inputs` is null where no operator is known that multiplies
   * the weight (lookups, weights that are computed with first). What it gives is the weight that later layers see.
   */
  readonly quantize: (layer: CalibratedLayer, inputs: LayerInputs | null) => Promise<Float32Array>;
}

/** Layers in the order in which they run, with the places where their inputs can be seen. */
interface Planned {
  readonly layer: CalibratedLayer;
  /** Where it multiplies something. */
  readonly sites: readonly LayerSite[];
  /** The first node that uses it, also as a lookup; `uses` counts both. */
  readonly first: number;
  readonly uses: number;
}

/** @throws Error when the moments of a single layer need more memory than there is. */
export async function calibrate(model: PreparedModel, feed: Feed, indices: readonly number[], layers: readonly CalibratedLayer[], options: CalibrateOptions): Promise<void> {
  const planned = layers.map((layer): Planned => {
    const all = sitesOf(model.graph, layer.tensor);
    const sites = all.filter(({ kind, node, outputAxis }) => kind !== 'lookup' && (kind === 'linear' ? isMatrix(layer) && (outputAxis === undefined || layer.shape[outputAxis] === layer.layout.rows) : fits(layer, groupsOf({ kind, node } as LayerSite))));
    return { layer, sites, first: all[0]?.at ?? Infinity, uses: all.length };
  }).sort((a, b) => a.first - b.first);
  for (const { layer, sites } of planned) {
    const bytes = sites.length === 0 ? 0 : momentBytes(layer, sites[0]!);
    if (bytes > options.memory) throw new Error(`${layer.tensor}: the second moments of its ${layer.layout.cols} inputs need ${bytes} bytes of memory, and ${Math.floor(options.memory)} may be used; raise the memory limit or leave this layer out`);
  }
  if (options.sequential) await inSequence(model, feed, indices, planned, options);
  else await atOnce(model, feed, indices, planned, options);
}

/** Weights of several matrices see inputs of their own in each, which one moment does not tell apart. */
const isMatrix = ({ shape }: CalibratedLayer): boolean => shape.filter((dim) => dim !== 1).length <= 2;
/** Do the runs of output channels of the operator agree with those of the matrix? */
const fits = ({ layout }: CalibratedLayer, groups: number): boolean => layout.rows % groups === 0;
const momentBytes = ({ layout }: CalibratedLayer, site: LayerSite): number => groupsOf(site) * layout.cols * layout.cols * 8;

async function atOnce(model: PreparedModel, feed: Feed, indices: readonly number[], planned: readonly Planned[], options: CalibrateOptions): Promise<void> {
  const batches = feed.batches(indices);
  const rounds = byMemory(planned, options.memory);
  for (const [r, round] of rounds.entries()) {
    const wanted = [...new Set(round.flatMap(({ sites }) => sites.map(({ input }) => input)))];
    const sums = round.map(({ layer, sites }) => (sites.length > 0 ? new MomentSums(layer.layout, groupsOf(sites[0]!)) : null));
    if (wanted.length > 0) await gather(model, feed, batches, round, sums, wanted, { ...options, step: (done) => options.step(r * batches.length + done, rounds.length * batches.length) });
    for (const [i, { layer }] of round.entries()) await options.quantize(layer, sums[i]?.inputs() ?? null);
  }
}

/** Runs the whole model over all batches and adds up the moments of these layers. */
async function gather(model: PreparedModel, feed: Feed, batches: readonly (readonly number[])[], round: readonly Planned[], sums: readonly (MomentSums | null)[], wanted: readonly string[], options: CalibrateOptions, replaced?: ReadonlyMap<string, Float32Array>): Promise<void> {
  const own = new Set(model.graph.inputs.map(({ name }) => name));
  const outside = wanted.filter((name) => !own.has(name));
  const running = await model.start(subgraph(model.graph, [], outside.length > 0 ? outside : model.graph.outputs.slice(0, 1).map(({ name }) => name)), replaced);
  const moments = new MomentModels(batches.flat().length, options.threads);
  try {
    for (const [b, batch] of batches.entries()) {
      options.step(b, batches.length);
      const inputs = feed.inputs(batch);
      const arrays = outside.length > 0 ? new Map([...inputs, ...await running.run(inputs)]) : inputs;
      for (const [i, { layer, sites }] of round.entries()) for (const site of sites) await moments.add(sums[i]!, site, layer, arrays.get(site.input)!);
    }
  } finally {
    await running.close();
    await moments.close();
  }
}

async function inSequence(model: PreparedModel, feed: Feed, indices: readonly number[], planned: readonly Planned[], options: CalibrateOptions): Promise<void> {
  const batches = feed.batches(indices);
  const replaced = new Map<string, Float32Array>();
  const done = async (layer: CalibratedLayer, inputs: LayerInputs | null): Promise<void> => { replaced.set(layer.tensor, await options.quantize(layer, inputs)); };
  // A weight that is used in several places is met before all its inputs are known: it sees those of the unquantized model.
  const shared = planned.filter(({ sites, uses }) => sites.length > 0 && uses > 1);
  const early = new Map<string, LayerInputs | null>();
  for (const each of shared) {
    const sums = new MomentSums(each.layer.layout, groupsOf(each.sites[0]!));
    await gather(model, feed, batches, [each], [sums], [...new Set(each.sites.map(({ input }) => input))], { ...options, step: () => options.step(0, 1) });
    early.set(each.layer.tensor, sums.inputs());
  }
  // The model as it becomes, and beside it what the unquantized model gives at the same places.
  const [state, clean] = [new Walk(model, feed, batches, options.memory / 2), new Walk(model, feed, batches, options.memory / 2)];
  const unchanged: ReadonlyMap<string, Float32Array> = new Map();
  const moments = new MomentModels(indices.length, options.threads, true);
  try {
    for (const [index, { layer, sites, first, uses }] of planned.entries()) {
      if (sites.length !== 1 || uses !== 1) { await done(layer, early.get(layer.tensor) ?? null); continue; }
      const site = sites[0]!;
      const sums = new MomentSums(layer.layout, groupsOf(site), true);
      try {
        await state.start(first, [site.input], replaced);
        await clean.start(first, [site.input], unchanged);
        for (const b of batches.keys()) {
          options.step(index * batches.length + b, planned.length * batches.length);
          const [own, original] = [await state.advance(b), await clean.advance(b)];
          await moments.add(sums, site, layer, own.get(site.input)!, original.get(site.input)!);
        }
      } finally { await state.end(); await clean.end(); }
      const inputs = sums.inputs();
      const target = inputs && await correctedTarget(toMatrix(model.values(layer.tensor), layer.layout), layer.layout, inputs, sums.drift()!, () => options.step((index + 1) * batches.length, planned.length * batches.length));
      await done(layer, inputs && target ? { ...inputs, target } : inputs);
    }
  } finally { await moments.close(); }
}

function byMemory(planned: readonly Planned[], memory: number): Planned[][] {
  const rounds: Planned[][] = [[]];
  let bytes = 0;
  for (const each of planned) {
    const own = each.sites.length > 0 ? momentBytes(each.layer, each.sites[0]!) : 0;
    if (bytes + own > memory && rounds.at(-1)!.length > 0) { rounds.push([]); bytes = 0; }
    rounds.at(-1)!.push(each);
    bytes += own;
  }
  return rounds;
}

/** Some samples of a batch. */
function slice(array: NamedArray, from: number, many: number): NamedArray {
  const samples = array.shape[0] ?? 1;
  if (from === 0 && many >= samples) return array;
  const per = array.data.length / samples;
  const to = Math.min(samples, from + many);
  return { ...array, shape: [to - from, ...array.shape.slice(1)], data: array.data.subarray(from * per, to * per) };
}

/** One model of moments per site, made when it is first needed. */
class MomentModels {
  private readonly models = new Map<LayerSite, { model: MomentModel; random: Random }>();
  constructor(private readonly samples: number, private readonly threads: number, private readonly drift = false) {}

  async add(sums: MomentSums, site: LayerSite, { shape, layout }: CalibratedLayer, array: NamedArray, clean?: NamedArray): Promise<void> {
    let known = this.models.get(site);
    if (!known) this.models.set(site, known = { model: new MomentModel(site, shape, layout.cols, this.threads, this.drift), random: new Random(site.at) });
    const { model, random } = known;
    const samples = array.shape[0] ?? 1;
    const positions = model.positionsOf(array.shape) / Math.max(1, samples);
    const share = Math.min(1, Math.max(LEAST_POSITIONS, POSITIONS_PER_INPUT * layout.cols) / (positions * this.samples));
    // Patches are many times what they are cut from: a few samples at a time.
    const many = Math.max(1, Math.floor(MOST_PATCH_VALUES / Math.max(1, positions * layout.cols * groupsOf(site))));
    for (let at = 0; at < samples; at += many) {
      const count = Math.round(positions * Math.min(many, samples - at));
      const keep = share < 1 ? Array.from({ length: count }, (_, i) => i).filter(() => random.uniform() < share) : undefined;
      if (keep?.length === 0) continue;
      sums.add(await model.sums(slice(array, at, many), clean && slice(clean, at, many), keep));
    }
  }
  async close(): Promise<void> {
    for (const { model } of this.models.values()) await model.close();
    this.models.clear();
  }
}
