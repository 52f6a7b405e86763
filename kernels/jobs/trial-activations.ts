/** Activations of a trial: what layers are applied to is rounded by operators that are put before them. */
import { isBlockScaled, type BlockScaledFormat } from '../formats/format';
import { activationProblem, fakeQuantize, type FixedScale } from '../graph/fake-quantize';
import { Insertion } from '../graph/insert';
import type { RangeMethod } from '../methods/method';
import type { PreparedModel } from '../run/prepared-model';
import { sitesOf, type LayerSite } from '../run/sites';
import { valueHistograms } from '../run/value-histogram';
import { JobError, type JobContext, type TrialParams, type TrialResult } from './job';
import { chosen } from './trial-steps';
import { required, stepOf, type Calibration } from './trial-calibration';
import { formatForJob } from './weights';

const DEFAULT_RANGE = 'mse';

interface PlannedActivation { readonly key: string; readonly site: LayerSite; readonly format: BlockScaledFormat }
export interface ActivationPlan { readonly planned: readonly PlannedActivation[]; readonly range: RangeMethod; readonly needsData: boolean; readonly notes: readonly string[] }

/** One scale for all values, found beforehand; other granularities find theirs while the model runs. */
const isStatic = (format: BlockScaledFormat, range: RangeMethod): boolean => format.granularity?.kind === 'tensor' && !range.dynamic;

/** What is rounded where. @throws JobError for a format that activations cannot have */
export function planActivations({ activations, graph }: TrialParams): ActivationPlan | null {
  if (!activations || activations.layers.length === 0) return null;
  const range = chosen('range', activations.range ?? { method: DEFAULT_RANGE });
  const types = new Map([...(graph.values ?? []), ...graph.inputs, ...graph.outputs].map((value) => [value.name, value.type]));
  const planned: PlannedActivation[] = [];
  const without: string[] = [];
  for (const { key, tensor, format: id } of activations.layers) {
    const format = formatForJob(id);
    const sites = sitesOf(graph, tensor).filter(({ kind, input }) => kind !== 'lookup' && types.get(input) === 'F32');
    if (sites.length === 0) without.push(key);
    for (const site of sites) {
      const problem = activationProblem(format, site.kind === 'linear' ? 'last' : 'second');
      if (problem) throw new JobError(`${key}: ${problem}`);
      if (isBlockScaled(format)) planned.push({ key, site, format });
    }
  }
  if (planned.length === 0) throw new JobError('no layer is applied to values that could be rounded: activations would change nothing');
  const notes = without.length > 0 ? [`nothing is rounded before ${without.length} layers that look up or are applied in ways that are not followed: ${without.slice(0, 3).join(', ')}${without.length > 3 ? '...' : ''}`] : [];
  if (activations.range && !range.dynamic && !planned.some(({ format }) => isStatic(format, range))) notes.push(`${range.id} was not used: formats with a scale for each token or group find their ranges while the model runs`);
  return { planned: planned.sort((a, b) => a.site.at - b.site.at), range, needsData: planned.some(({ format }) => isStatic(format, range)), notes };
}

/**
 * The quantized model with its activations rounded.
 * @param original the model as it is before quantization: ranges are those of its values
 */
export async function quantizeActivations(params: TrialParams, { planned, range, needsData }: ActivationPlan, quantized: PreparedModel, original: PreparedModel, calibration: Calibration | null, context: JobContext): Promise<{ model: PreparedModel; activations: NonNullable<TrialResult['activations']> }> {
  const insertion = new Insertion(quantized.graph, 'rounded');
  // Transforms may have put operators before a layer: what it is applied to now is what is rounded.
  const current = new Map(quantized.graph.nodes.map((node) => [node.outputs[0], node]));
  const inputOf = ({ output }: LayerSite): string => current.get(output)!.inputs[0]!;
  const names = [...new Set(planned.filter(({ format }) => isStatic(format, range)).map(({ site }) => inputOf(site)))];
  const histograms = needsData ? await valueHistograms(original, required(calibration).feed, required(calibration).indices, names, stepOf(context, 'Finding ranges of activations')) : new Map();
  const options = params.activations!.range?.options ?? {};
  for (const { key, site, format } of planned) {
    let fixed: FixedScale | null = null;
    if (isStatic(format, range)) {
      const values = histograms.get(inputOf(site));
      if (!values) throw new JobError(`${key}: what it is applied to holds no finite value on the calibration data`);
      const { minimum, maximum } = range.run(values, format, options);
      fixed = format.scaleOf(minimum, maximum, 1, outerOf(format, minimum, maximum));
    }
    insertion.replaceInput(current.get(site.output)!, 0, (value) => fakeQuantize(insertion.emitter, value, format, site.kind === 'linear' ? 'last' : 'second', fixed));
  }
  const layers = [...new Map(planned.map(({ key, format }) => [key, { key, format: format.id }])).values()];
  return { model: quantized.with({ graph: insertion.finish() }), activations: { layers, range: needsData ? range.id : 'dynamic' } };
}

/** Of scales that lie under another one, that of the tensor. */
function outerOf(format: BlockScaledFormat, minimum: number, maximum: number): number {
  const view = { rows: 1, cols: 2 };
  return format.findScales(Float32Array.of(minimum, maximum), view, 'absmax').outer?.[0] ?? 1;
}
