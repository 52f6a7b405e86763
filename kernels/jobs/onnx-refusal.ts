/** Whether onnxruntime loads a model that was written. */
import { hasRuntime, loadRuntime } from '../run/onnx-runtime';

/** What onnxruntime says against a model; null when it loads it, or is not there to ask. */
export async function refusal(file: string): Promise<string | null> {
  if (!hasRuntime()) return null;
  try {
    const session = await loadRuntime().InferenceSession.create(file, { logSeverityLevel: 3, graphOptimizationLevel: 'basic' });
    await session.release();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
