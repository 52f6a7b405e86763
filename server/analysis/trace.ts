/** Tracing a model that has been analysed: its root, arguments and checkpoint are those of the analysis. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { Graph } from '../../kernels/graph/graph';
import { kindOfFile } from '../../kernels/jobs/layouts';
import type { LinkResult } from '../linking/layer';
import type { InputSpec } from '../trace/inputs';
import type { TraceRequest, TraceResult } from '../trace/trace';
import { originOf, type ModelAnalysis, type RootChoice } from './model-analysis';
import type { TracingPort } from './ports';
import { untoldText } from './untold';
import { UserError } from './user-error';

export interface TraceOptions {
  readonly inputs?: readonly InputSpec[];
  /** Shape of the data the model is run on, the first dimension being the batch. */
  readonly data?: TraceRequest['data'];
}

/** Names in state_dict to the tensors that the checkpoint holds under them; tied names lead to the one that is stored. */
export function tensorsOf(link: LinkResult): Map<string, TensorInfo> {
  const found = new Map<string, TensorInfo>();
  for (const { tensors } of link.layers) for (const { name, info } of tensors) if (info) found.set(name, info);
  for (const layer of link.layers) {
    const owner = layer.tiedTo === null ? undefined : link.layers.find((other) => other.path === layer.tiedTo);
    if (layer.weight && owner?.weight?.info && !found.has(layer.weight.name)) found.set(layer.weight.name, owner.weight.info);
  }
  return found;
}

/**
 * What an export as an ONNX model needs beside the weights: the graph of the model, and where it comes from. Nothing where the weights
 * lie in an ONNX file that is the model, or the export is no ONNX model.
 * @param traced the graph, where it is known already
 * @throws UserError when the source cannot be followed to its end
 */
export async function graphBeside(python: TracingPort, analysis: ModelAnalysis, file: string, traced?: Graph): Promise<{ graph?: Graph; metadata?: readonly (readonly [string, string])[] }> {
  const { graph: own, checkpoint, source } = analysis;
  if (kindOfFile(file) !== 'onnx' || (own && checkpoint?.path === source)) return {};
  const known = own ?? traced;
  if (known) return { graph: known, metadata: originOf(analysis) };
  const { graph, stopped } = await traceAnalysis(python, analysis);
  if (stopped) throw new UserError(`the model cannot be written as ONNX, because its forward cannot be followed to the end: ${stopped.span ? `${stopped.span.file}:${stopped.span.startLine + 1}: ` : ''}${stopped.reason}. "bitlens trace" shows how far it comes; weights alone can be written as safetensors`);
  return { graph, metadata: originOf(analysis) };
}

/** @throws UserError when there is no model to trace. */
export async function traceAnalysis(python: TracingPort, analysis: ModelAnalysis, options: TraceOptions = {}): Promise<TraceResult> {
  if (!analysis.root) throw new UserError(`${analysis.source} defines no nn.Module that could be traced. TARGET is a file with one, or file.py:Class`);
  return withUntold(analysis, await python.trace(requestFor(analysis, analysis.root, options)));
}

/** The trace of the model as it stands, when it was made before. Asks for no work. */
export function knownTrace(python: TracingPort, analysis: ModelAnalysis): TraceResult | undefined {
  const known = analysis.root && !analysis.graph ? python.knownTrace(requestFor(analysis, analysis.root, {})) : undefined;
  return known && withUntold(analysis, known);
}

/** The trace, saying what the model was built with on trust. */
const withUntold = ({ untoldArguments }: ModelAnalysis, traced: TraceResult): TraceResult =>
  (untoldArguments ? { ...traced, assumptions: [...traced.assumptions, untoldText(untoldArguments)] } : traced);

const requestFor = ({ source, link, checkpoint, rootArguments }: ModelAnalysis, root: RootChoice, { inputs, data }: TraceOptions): TraceRequest => ({
  file: source, root: root.name, args: rootArguments?.values ?? {},
  tensors: checkpoint && link ? tensorsOf(link) : null,
  ...(inputs ? { inputs } : {}), ...(data ? { data } : {}),
});
