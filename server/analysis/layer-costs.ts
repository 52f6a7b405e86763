/**
 * What layers take beside bytes: bit operations and latency, for the sizes of one sample. The graph is followed a second time with
 * every size fixed, so that shapes are numbers; the kernel process counts and times.
 */
import { sampleShapeOf } from '../../kernels/data/shape';
import type { Graph, GraphDim } from '../../kernels/graph/graph';
import { withDecodedWeights } from '../../kernels/graph/onnx/decoded-weights';
import type { WeightScan } from '../../kernels/jobs/job';
import type { LayerCost } from '../../kernels/methods/method';
import type { Layer } from '../linking/layer';
import type { InputSpec } from '../trace/inputs';
import type { TraceResult } from '../trace/trace';
import { CannotRun } from './cannot-run';
import type { ModelAnalysis } from './model-analysis';
import { dataInFiles, type ModelData } from './model-data';
import type { KernelPort, RunOptions, TracingPort } from './ports';
import { traceAnalysis } from './trace';
import { messageOf, UserError } from './user-error';
import type { CostId } from './vocabulary';

/** Costs of every layer in every format by one cost model. */
export interface CostTable {
  readonly id: CostId;
  readonly unit: string;
  /** Sizes of the sample that were taken as usual, in words; empty where they are known. */
  readonly sizes: string;
  /** Whole numbers of a cost in one unit. */
  readonly perUnit: number;
  /** Undefined for a layer or format that was not asked for. */
  of(path: string, format: string): LayerCost | undefined;
}
export interface LayerCosts {
  readonly tables: readonly CostTable[];
  readonly macs: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}
export interface CostRequest {
  readonly ids: readonly CostId[];
  readonly formats: readonly string[];
  /** Inputs of forward as the user gives them; a free size gets its usual value. */
  readonly inputs?: readonly InputSpec[];
  readonly data?: ModelData;
  readonly activationBits?: number;
}

/** Tokens of a text that nothing says the length of: the first of these that the model takes. */
const SEQUENCES = [256, 128, 64, 32, 16] as const;
/** Sizes of one sample that nothing says, by the names they have: of a picture as ImageNet has it, of a text. */
const USUAL: readonly { readonly names: RegExp; readonly size: number | 'sequence' }[] = [
  { names: /^(height|width|h|w)$/i, size: 224 }, { names: /seq/i, size: 'sequence' }, { names: /^(length|time|samples)$/i, size: 1024 },
];

/** @throws UserError when the source cannot be followed, or a size is not known. */
export async function layerCosts(
  kernel: KernelPort, python: TracingPort, analysis: ModelAnalysis, layers: readonly Layer[], scans: ReadonlyMap<string, WeightScan>, request: CostRequest, options: RunOptions,
): Promise<LayerCosts> {
  const { graph, sizes } = await graphOfOneSample(kernel, python, analysis, request, options);
  const weights = layers.flatMap((layer) => { const scan = scans.get(layer.path); return scan ? [{ key: layer.path, tensor: layer.weight!.info!.name, view: scan.view }] : []; });
  const tables: CostTable[] = [];
  const macs = new Map<string, number>();
  let uncounted: readonly string[] = [];
  for (const id of request.ids) {
    const found = await kernel.run('costs', { graph, weights, formats: request.formats, model: id, options: request.activationBits === undefined ? {} : { activationBits: request.activationBits } }, options);
    for (const layer of found.layers) macs.set(layer.key, layer.macs);
    const costs = new Map(found.layers.map(({ key, formats }) => [key, formats]));
    tables.push({ id, sizes, unit: found.unit, perUnit: found.perUnit, of: (path, format) => costs.get(path)?.[format] });
    uncounted = found.uncounted;
  }
  const notes = [`costs are those of one sample${sizes === '' ? '' : ` with ${sizes}, which --input or data can change`}`];
  if (request.ids.includes('bops') && request.activationBits === undefined) notes.push('activations are counted as floats of 32 bits unless --activation-bits says otherwise');
  if (request.ids.includes('latency')) notes.push('latency is that of the quantizable layers one after another, without what lies between them');
  if (uncounted.length > 0) notes.push(`${uncounted.length} ${uncounted.length === 1 ? 'layer is' : 'layers are'} applied in a way that is not counted, and ${uncounted.length === 1 ? 'takes' : 'take'} no cost here: ${uncounted.slice(0, 3).join(', ')}`);
  return { tables, macs, notes };
}

async function graphOfOneSample(kernel: KernelPort, python: TracingPort, analysis: ModelAnalysis, { inputs, data }: CostRequest, options: RunOptions): Promise<{ graph: Graph; sizes: string }> {
  const spec = data ? dataInFiles(data) : null;
  const sample = spec ? await sampleShapeOf(spec).catch((error: unknown) => { throw new UserError(messageOf(error)); }) : null;
  const sizes = new SampleSizes(sample);
  if (analysis.graph) {
    // A file says its own inputs; sizes that the user gives go before those that it leaves free.
    const own = analysis.graph.inputs.map((input, i) => ({ ...input, shape: inputs?.find(({ name }) => name === input.name)?.shape ?? (i === 0 ? sizes.ofData(input.shape) : null) ?? input.shape }));
    const stranger = inputs?.find(({ name }) => !own.some((input) => input.name === name));
    if (stranger) throw new UserError(`${analysis.source} has no input ${JSON.stringify(stranger.name)}; its inputs are ${own.map(({ name }) => name).join(', ')}`);
    const fixed = { ...withDecodedWeights(analysis.graph, analysis.checkpoint!), inputs: sizes.fixed(own), values: [] };
    return { graph: (await kernel.run('types', { graph: fixed, checkpoint: analysis.source }, options)).graph, sizes: sizes.assumed() };
  }
  const free = complete(await traceAnalysis(python, analysis, {
    ...(inputs && inputs.length > 0 ? { inputs } : {}), ...(sample ? { data: { shape: [sample.count, ...sample.shape], whole: sample.whole } } : {}),
  }));
  // A table of positions may end before a text of the usual length does.
  for (const sequence of SEQUENCES) {
    const shorter = new SampleSizes(sample, sequence);
    const traced = await traceAnalysis(python, analysis, { inputs: shorter.fixed(free.inputs) });
    if (!traced.stopped || !shorter.guessedSequence) return { graph: complete(traced).graph, sizes: shorter.assumed() };
  }
  return { graph: complete(await traceAnalysis(python, analysis, { inputs: sizes.fixed(free.inputs) })).graph, sizes: sizes.assumed() };
}

/** Numbers for the sizes that inputs leave free. */
class SampleSizes {
  private readonly usual = new Map<string, number>();
  /** Was the length of a text taken as usual? */
  guessedSequence = false;
  constructor(private readonly sample: { readonly shape: readonly number[]; readonly whole: boolean } | null, private readonly sequence: number = SEQUENCES[0]) {}

  /** The data's own sizes where they fit an input. */
  ofData(shape: readonly GraphDim[]): readonly GraphDim[] | null {
    const { sample } = this;
    const fits = sample && shape.length === sample.shape.length + 1 && shape.slice(1).every((dim, i) => typeof dim === 'string' || dim === sample.shape[i]);
    return fits ? [shape[0]!, ...sample.shape] : null;
  }

  /** @throws UserError for a size that nothing says */
  fixed<Input extends Pick<InputSpec, 'name' | 'shape'>>(inputs: readonly Input[]): (Input & { shape: number[] })[] {
    const numberOf = (size: GraphDim, axis: number): number => {
      if (typeof size === 'number') return size;
      if (axis === 0 || size === 'batch') return 1;
      const { sample } = this;
      const name = USUAL.find(({ names }) => names.test(size));
      if (name?.size === 'sequence' && sample?.whole && sample.shape.length === 1) return sample.shape[0]!;
      if (!name) throw new UserError(`what one sample takes depends on the size ${JSON.stringify(size)} of an input, which is not known: give it with ${inputs.map((input) => `--input ${input.name}=${input.shape.join(',')}`).join(' ')}, with a number in its place`);
      if (name.size === 'sequence') this.guessedSequence = true;
      const number = name.size === 'sequence' ? this.sequence : name.size;
      this.usual.set(size, number);
      return number;
    };
    return inputs.map((input) => ({ ...input, shape: input.shape.map(numberOf) }));
  }

  assumed(): string {
    return [...this.usual].map(([name, size]) => `${name} ${size}`).join(', ');
  }
}

function complete(traced: TraceResult): TraceResult {
  const { stopped } = traced;
  if (!stopped) return traced;
  throw new CannotRun(`operations and latency are those of a graph, and the model's forward cannot be followed to the end: ${stopped.span ? `${stopped.span.file}:${stopped.span.startLine + 1}: ` : ''}${stopped.reason}. "bitlens trace" shows how far it comes; --input names sizes that fit`);
}
