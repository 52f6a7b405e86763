/** An ONNX model as a model to analyse: the file is source and checkpoint in one. */
import path from 'node:path';
import { CheckpointError, type Checkpoint } from '../../kernels/checkpoint/checkpoint';
import type { Graph } from '../../kernels/graph/graph';
import { withDecodedWeights } from '../../kernels/graph/onnx/decoded-weights';
import { hasHalf, inFloat32 } from '../../kernels/graph/onnx/float32';
import { readOnnxGraph } from '../../kernels/graph/onnx/read-graph';
import { onnxLayers } from '../linking/onnx-layers';
import type { CheckpointCache } from './checkpoint-cache';
import type { OpenedCheckpoint } from './locate';
import type { ModelAnalysis } from './model-analysis';
import { onnxTitle } from './onnx-file';
import { messageOf, UserError } from './user-error';

/**
 * @param weights another checkpoint to take the tensors from, by their names; null for the file's own
 * @throws UserError for a file that is no ONNX model, or whose graph cannot be run.
 */
export async function onnxModel(cache: CheckpointCache, file: string, weights: OpenedCheckpoint | null, signal?: AbortSignal): Promise<Pick<ModelAnalysis, 'source' | 'root' | 'tree' | 'link' | 'graph' | 'checkpoint' | 'checkpointPath' | 'checkpointError' | 'checkpointReason' | 'notes'>> {
  const title = onnxTitle(file);
  const { own, graph, notes } = await readGraph(cache, file, signal);
  const opened = weights ?? { path: file, checkpoint: own, error: null, reason: 'its own weights' };
  const checkpoint = opened.checkpoint ?? own;
  const decoded = withDecodedWeights(graph, own);
  const { link, tree, span, note } = onnxLayers(decoded, checkpoint, file, title);
  return {
    source: file, root: { name: title, span, reason: `an ONNX model of ${graph.nodes.length} ${graph.nodes.length === 1 ? 'operator' : 'operators'}`, alternatives: [] }, tree, link: opened.checkpoint ? link : null,
    // Other weights are those of layers, not the codes that this file has in their place.
    graph: weights ? decoded : graph,
    checkpoint: opened.checkpoint, checkpointPath: opened.path, checkpointError: opened.error, checkpointReason: opened.reason, notes: note === null ? notes : [...notes, note],
  };
}

async function readGraph(cache: CheckpointCache, file: string, signal?: AbortSignal): Promise<{ own: Checkpoint; graph: Graph; notes: string[] }> {
  try {
    const own = await cache.open(file, signal);
    if (own.format !== 'onnx') throw new UserError(`${file} is no ONNX model: it is read as ${own.format}`);
    const graph = await readOnnxGraph(own, signal);
    if (!hasHalf(graph)) return { own, graph, notes: [] };
    return { own, graph: inFloat32(graph), notes: [`${path.basename(file)} is in half precision; it is run in float32`] };
  } catch (error) {
    if (signal?.aborted || error instanceof UserError) throw error;
    if (error instanceof CheckpointError) throw new UserError(`${file}: ${error.message}`, error.problem);
    throw error instanceof Error && error.constructor === Error ? new UserError(`${file}: ${messageOf(error)}`) : error;
  }
}
