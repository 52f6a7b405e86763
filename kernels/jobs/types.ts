/** Types: what onnxruntime finds out of the types and shapes of a graph that was read from a file. */
import { lacksTypes, withTypes } from '../run/infer-types';
import { type Job, type TypesParams, type TypesResult } from './job';
import { withInputErrors } from './model-run';

export const typesJob: Job<'types'> = {
  kind: 'types',
  run: ({ graph, checkpoint }: TypesParams): Promise<TypesResult> => withInputErrors(async () => {
    if (!lacksTypes(graph)) return { graph };
    try {
      return { graph: await withTypes(graph, checkpoint) };
    } catch (error) {
      if (error instanceof Error && error.constructor === Error) throw new Error(`${checkpoint}: ${error.message}`, { cause: error });
      throw error;
    }
  }),
};
