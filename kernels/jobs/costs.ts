/** Costs: what every layer takes in every format beside bytes, by a cost model, on the graph of one run. */
import { parseFormat } from '../formats/registry';
import type { CostModel } from '../methods/method';
import { methodOfKind } from '../methods/registry';
import { appliedShapes } from '../run/applied-shapes';
import { JobError, type CostsParams, type CostsResult, type Job, type JobContext } from './job';
import { withInputErrors } from './model-run';
import { formatForJob } from './weights';

export const costsJob: Job<'costs'> = {
  kind: 'costs',
  run: (params: CostsParams, context: JobContext): Promise<CostsResult> => withInputErrors(async () => {
    const started = performance.now();
    const model = modelForJob(params.model);
    const formats = params.formats.map((id) => parseFormat(formatForJob(id).id));
    const layers = params.weights.map(({ key, tensor, view }) => ({ key, view, shapes: appliedShapes(params.graph, tensor) }));
    const costs = await model.run(layers, formats, params.options ?? {}, context);
    return {
      unit: model.unit, perUnit: model.perUnit,
      layers: layers.map(({ key, shapes }, i) => ({ key, macs: shapes.reduce((sum, { macs }) => sum + macs, 0), formats: Object.fromEntries(formats.map(({ id }, f) => [id, costs[i]![f]!])) })),
      uncounted: layers.filter(({ shapes }) => shapes.length === 0).map(({ key }) => key),
      seconds: (performance.now() - started) / 1000,
    };
  }),
};

function modelForJob(id: string): CostModel {
  try {
    return methodOfKind('cost', id);
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}
