/** What shape samples have that are made up: that of data which is there, else what the model says of its input. */
import { isSynthetic, type DatasetSpec, type SampleShape, type SyntheticSpec } from '../../kernels/data/data';
import { sampleShapeOf } from '../../kernels/data/shape';
import { mainInput } from '../../kernels/run/feed';
import type { GraphDim, GraphValue } from '../../kernels/graph/graph';
import { followed } from './cannot-run';
import type { ModelAnalysis } from './model-analysis';
import { dataInFiles, type ModelData } from './model-data';
import type { TracingPort } from './ports';
import { traceAnalysis } from './trace';
import { messageOf, UserError } from './user-error';

/** Tokens of a sample that nothing says the length of: the first of these that the model takes. */
const SEQUENCES = [128, 64, 32, 16] as const;

/** The data with a shape for samples that are made up. @throws UserError when the model takes any size and none is given */
export async function withSampleShapes(python: TracingPort, analysis: ModelAnalysis, data: ModelData): Promise<ModelData> {
  const synthetic = [data.calibration, data.evaluation].find((spec): spec is SyntheticSpec => spec !== null && isSynthetic(spec) && !spec.sample);
  if (!synthetic) return data;
  const file = dataInFiles(data);
  const sample = file ? await sampleShapeOf(file).catch((error: unknown) => { throw new UserError(messageOf(error)); }) : await modelSample(python, analysis, synthetic);
  const shaped = (spec: DatasetSpec | null): DatasetSpec | null => {
    if (!spec || !isSynthetic(spec)) return spec;
    const { shape, whole } = sample;
    return { ...spec, sample: { whole, shape: whole && shape.length === 1 && spec.sequence !== undefined ? [spec.sequence] : shape } };
  };
  return { ...data, calibration: shaped(data.calibration), evaluation: shaped(data.evaluation) };
}

async function modelSample(python: TracingPort, analysis: ModelAnalysis, { sequence, preprocess }: SyntheticSpec): Promise<SampleShape> {
  const input = analysis.graph ? mainInput(analysis.graph) : await tracedInput(python, analysis);
  const whole = input.type !== 'F32';
  const [, ...own] = input.shape;
  const free = own.filter((dim) => typeof dim === 'string').length;
  if (free === 0) return { shape: own as number[], whole };
  if (whole && own.length === 1) return { shape: [sequence ?? await usualSequence(python, analysis)], whole };
  const crop = own.length === 3 && free === 2 ? preprocess?.crop : undefined;
  let at = 0;
  const shape = own.map((dim) => (typeof dim === 'number' ? dim : crop?.[at++] ?? (free === 1 ? sequence : undefined)));
  if (shape.some((dim) => dim === undefined)) throw new UserError(`how large a synthetic sample should be is not known: the model takes ${JSON.stringify(input.name)} of shape [${own.join(', ')}]. Give ${own.length === 3 && free === 2 ? 'height and width, with --crop H,W or as "crop" under data.preprocess in bitlens.json' : free === 1 ? 'the size, with --sequence N or as "sequence" beside "synthetic" in bitlens.json' : 'data of the right size'}; where one kind of data is named, its size is taken for the other`);
  return { shape: shape as number[], whole };
}

/** The first input of the source; a size that the trace took as an example is free again. */
async function tracedInput(python: TracingPort, analysis: ModelAnalysis): Promise<GraphValue> {
  const { graph, assumptions } = followed(await traceAnalysis(python, analysis));
  const examples = new Map(assumptions.flatMap((text) => { const match = /^(height|width|sequence|length) = (\d+) /.exec(text); return match ? [[Number(match[2]), match[1]!] as const] : []; }));
  const input = mainInput(graph);
  return { ...input, shape: input.shape.map((dim, axis): GraphDim => (axis > 0 && typeof dim === 'number' ? examples.get(dim) ?? dim : dim)) };
}

/** A table of positions may end before a text of the usual length does. */
async function usualSequence(python: TracingPort, analysis: ModelAnalysis): Promise<number> {
  if (analysis.graph) return SEQUENCES[0];
  const { inputs } = await traceAnalysis(python, analysis);
  for (const sequence of SEQUENCES) {
    const { stopped } = await traceAnalysis(python, analysis, { inputs: inputs.map((input) => ({ ...input, shape: input.shape.map((dim) => (dim === 'sequence' ? sequence : dim)) })) });
    if (!stopped) return sequence;
  }
  throw new UserError(`the model takes none of the usual numbers of tokens (${SEQUENCES.join(', ')}); give one with --sequence N, or as "sequence" beside "synthetic" in bitlens.json`);
}
