/**
 * What layers take beside bytes: bit operations and latency, for the sizes of one sample. The graph is followed a second time with
 * every size fixed, so that shapes are numbers; the kernel process counts and times.
 */
import { sampleShapeOf } from '../../kernels/data/shape';
import type { Graph } from '../../kernels/graph/graph';
import type { WeightScan } from '../../kernels/jobs/job';
import type { LayerCost } from '../../kernels/methods/method';
import type { Layer } from '../linking/layer';
import type { InputSpec } from '../trace/inputs';
import type { TraceResult } from '../trace/trace';
import type { ModelAnalysis } from './model-analysis';
import type { ModelData } from './model-data';
import type { KernelPort, RunOptions, TracingPort } from './ports';
import { CannotRun } from './running';
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

/** Sizes of one sample that nothing says: of a picture as ImageNet has it, a text of 256 tokens. */
const USUAL: Readonly<Record<string, number>> = { batch: 1, sequence: 256, height: 224, width: 224, length: 1024 };

/** @throws UserError when the source cannot be followed, or a size is not known. */
export async function layerCosts(
  kernel: KernelPort, python: TracingPort, analysis: ModelAnalysis, layers: readonly Layer[], scans: ReadonlyMap<string, WeightScan>, request: CostRequest, options: RunOptions,
): Promise<LayerCosts> {
  const { graph, sizes } = await graphOfOneSample(python, analysis, request);
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
  if (request.ids.includes('bops') && request.activationBits === undefined) notes.push('activations are counted as floats of 32 bits; --activation-bits says otherwise');
  if (uncounted.length > 0) notes.push(`${uncounted.length} ${uncounted.length === 1 ? 'layer is' : 'layers are'} applied in a way that is not counted, and ${uncounted.length === 1 ? 'takes' : 'take'} no cost here: ${uncounted.slice(0, 3).join(', ')}`);
  return { tables, macs, notes };
}

async function graphOfOneSample(python: TracingPort, analysis: ModelAnalysis, { inputs, data }: CostRequest): Promise<{ graph: Graph; sizes: string }> {
  const spec = data?.evaluation ?? data?.calibration ?? null;
  const sample = spec ? await sampleShapeOf(spec).catch((error: unknown) => { throw new UserError(messageOf(error)); }) : null;
  const free = complete(await traceAnalysis(python, analysis, {
    ...(inputs && inputs.length > 0 ? { inputs } : {}), ...(sample ? { data: { shape: [sample.count, ...sample.shape], whole: sample.whole } } : {}),
  }));
  const assumed = new Map<string, number>();
  const sizeOf = (name: string): number => {
    if (name === 'sequence' && sample?.whole && sample.shape.length === 1) return sample.shape[0]!;
    const size = Object.hasOwn(USUAL, name) ? USUAL[name] : undefined;
    if (size === undefined) throw new UserError(`what one sample takes depends on the size ${JSON.stringify(name)} of an input, which is not known: give it with --input ${free.inputs.map((input) => `${input.name}=${input.shape.join(',')}`).join(' --input ')}, with a number in its place`);
    if (name !== 'batch') assumed.set(name, size);
    return size;
  };
  const fixed = free.inputs.map((input) => ({ ...input, shape: input.shape.map((size) => (typeof size === 'number' ? size : sizeOf(size))) }));
  const { graph } = complete(await traceAnalysis(python, analysis, { inputs: fixed }));
  return { graph, sizes: [...assumed].map(([name, size]) => `${name} ${size}`).join(', ') };
}

function complete(traced: TraceResult): TraceResult {
  const { stopped } = traced;
  if (!stopped) return traced;
  throw new CannotRun(`operations and latency are those of a graph, and the model's forward cannot be followed to the end: ${stopped.span ? `${stopped.span.file}:${stopped.span.startLine + 1}: ` : ''}${stopped.reason}. "bitlens trace" shows how far it comes; --input names sizes that fit`);
}
