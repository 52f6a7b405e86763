/** Writes a graph with the weights of a checkpoint as an ONNX model, and proves that onnxruntime takes it where it is there. */
import path from 'node:path';
import { realpathSync } from 'node:fs';
import { TensorReader } from '../checkpoint';
import { resolveGraph } from '../graph/resolve';
import { writeOnnx } from '../graph/write-onnx';
import { hasRuntime, loadRuntime } from '../run/onnx-runtime';
import { JobError, type Job, type JobContext, type OnnxParams, type OnnxResult } from './job';
import { filesOf, openForJob, withCheckpointErrors } from './weights';

export const onnxJob: Job<'onnx'> = {
  kind: 'onnx',
  async run(params: OnnxParams, context: JobContext): Promise<OnnxResult> {
    const checkpoint = await openForJob(params.checkpoint);
    const target = path.resolve(params.path);
    if (checkpoint.files.some((file) => same(file.path, target))) throw new JobError(`${target} is the checkpoint that is being read; choose another file for the model`);
    const reader = TensorReader.open(filesOf(checkpoint));
    try {
      const model = { ...resolve(() => resolveGraph(params.graph, checkpoint, reader)), metadata: params.metadata ?? [] };
      let done = 0;
      const initializers = model.initializers.map((initializer) => ({
        ...initializer,
        write: async (sink: (chunk: Uint8Array) => void): Promise<void> => {
          context.throwIfCancelled();
          await initializer.write(sink);
          done += 1;
          context.progress(done, model.initializers.length, `Writing ${path.basename(target)}`);
        },
      }));
      const written = await withCheckpointErrors(() => writing(target, () => writeOnnx(target, { ...model, initializers }, { external: 'auto' })));
      return { path: target, bytes: written.bytes, sha256: written.sha256, nodes: model.nodes.length, initializers: initializers.length, ...(written.data ? { data: written.data.path } : {}), runs: await runs(target) };
    } finally { reader.close(); }
  },
};

/** Does onnxruntime take the model? Null when it is not there to ask. */
async function runs(target: string): Promise<boolean | null> {
  if (!hasRuntime()) return null;
  try {
    const session = await loadRuntime().InferenceSession.create(target, { logSeverityLevel: 3 });
    await session.release();
    return true;
  } catch (error) {
    throw new JobError(`${target} was written, but onnxruntime refuses it: ${error instanceof Error ? error.message : String(error)}`);
  }
}
function same(a: string, b: string): boolean {
  try { return realpathSync(a) === realpathSync(b); } catch { return false; }
}
function resolve<T>(work: () => T): T {
  try { return work(); } catch (error) { throw new JobError(error instanceof Error ? error.message : String(error)); }
}
async function writing<T>(target: string, work: () => Promise<T>): Promise<T> {
  try { return await work(); } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== undefined) throw new JobError(`${target} could not be written: ${(error as Error).message}`);
    throw error;
  }
}
