/** Convert to ONNX: the graph of a model with the weights of its linear layers and convolutions in a number format. */
import { elementCount, FLOAT_DTYPES, type Checkpoint } from '../checkpoint';
import type { Graph } from '../graph/graph';
import { withDecodedWeights } from '../graph/onnx/decoded-weights';
import { readOnnxGraph } from '../graph/onnx/read-graph';
import { allSites } from '../run/sites';
import { whyKept } from './convert-weights';
import { JobError, type ConvertParams, type ConvertResult, type JobContext, type QuantizeTask } from './job';
import { kindOfFile } from './layouts';
import { quantizeJob } from './quantize';
import { formatForJob, openForJob, tensorsByName, withCheckpointErrors } from './weights';

export async function convertToOnnx(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
  const checkpoint = await openForJob(params.checkpoint);
  if (checkpoint.format !== 'onnx' && !params.graph) {
    throw new JobError(`${params.checkpoint} holds weights, but no graph of operators, which an ONNX model needs; "bitlens quantize MODEL.py --checkpoint ${params.checkpoint} --format ${params.format ?? 'F'} --out OUT.onnx" makes one from the model's source`);
  }
  if (params.format === undefined) throw new JobError('an ONNX model is converted to a number format: name one (int4-sym-g32, int8-sym-channel)');
  if (kindOfFile(params.path) !== 'onnx') throw new JobError(`${params.path} does not end in .onnx, by which an ONNX model is known; name a file that does`);
  const format = formatForJob(params.format);
  const graph = params.graph ?? withDecodedWeights(await withCheckpointErrors(() => readOnnxGraph(checkpoint)), checkpoint);
  const { tasks, kept } = weightsOf(graph, checkpoint, { format: format.id, method: params.method ?? 'rtn' });
  if (tasks.length === 0) throw new JobError(`${params.checkpoint} has no linear layer and no convolution whose weight ${format.id} could replace${kept.length > 0 ? `: ${kept[0]!.key} is ${kept[0]!.reason}` : ''}`);
  const result = await quantizeJob.run({ checkpoint: params.checkpoint, tasks, seed: 0, export: { path: params.path, ...(params.layout ? { layout: params.layout } : {}), ...(params.graph ? { graph: params.graph } : {}), ...(params.metadata ? { metadata: params.metadata } : {}) } }, context);
  const written = result.export!;
  const byName = tensorsByName(checkpoint);
  return {
    path: written.path, bytes: written.bytes, sha256: written.sha256, verifiedTensors: written.verifiedTensors, decoded: 0, left: [],
    quantized: result.layers.map(({ tensor, format: type, after }) => ({ tensor, type, bits: after.bitsPerWeight, sqnrDb: after.sqnrDb, weights: elementCount(byName.get(tensor)!.shape) })),
    kept: [...kept, ...(result.kept ?? [])], fallbacks: [], notes: written.notes ?? [], seconds: result.seconds,
  };
}

/** What is quantized when nobody says so: what products and convolutions apply. Tables that tokens are looked up in stay, as elsewhere. */
function weightsOf(graph: Graph, checkpoint: Checkpoint, scheme: Pick<QuantizeTask, 'format' | 'method'>): { tasks: QuantizeTask[]; kept: { key: string; reason: string }[] } {
  const sites = allSites(graph);
  const byName = tensorsByName(checkpoint);
  const kept: { key: string; reason: string }[] = [];
  const tasks: QuantizeTask[] = [];
  for (const name of new Set(graph.initializers.flatMap(({ data }) => ('checkpoint' in data ? [data.checkpoint] : [])))) {
    const tensor = byName.get(name);
    if (!tensor || !FLOAT_DTYPES.has(tensor.dtype) || tensor.shape.length < 2) continue;
    const own = sites.get(name) ?? [];
    const reason = own.length === 0 ? 'not applied by a product or a convolution' : own.some(({ kind }) => kind === 'lookup') ? 'an embedding' : whyKept(tensor);
    if (reason !== null) { kept.push({ key: name, reason }); continue; }
    const [{ node, kind, outputAxis }] = own as [typeof own[number]];
    const group = node.attributes?.group;
    const groups = kind === 'conv-transpose' && group && 'int' in group ? group.int : 1;
    tasks.push({ key: name, tensor: name, outputAxis: outputAxis ?? tensor.outputAxis ?? 0, groups, ...scheme, orKeep: true });
  }
  return { tasks, kept };
}
