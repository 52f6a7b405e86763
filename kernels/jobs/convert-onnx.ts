/** Convert to ONNX: the graph of an ONNX model with its weights quantized. Other checkpoints have no graph. */
import { JobError, type ConvertParams, type ConvertResult, type JobContext } from './job';
import { openForJob } from './weights';

export async function convertToOnnx(params: ConvertParams, _context: JobContext): Promise<ConvertResult> {
  const checkpoint = await openForJob(params.checkpoint);
  if (checkpoint.format !== 'onnx') {
    throw new JobError(`${params.checkpoint} holds weights, but no graph of operators, which an ONNX model needs; "bitlens trace MODEL.py --checkpoint ${params.checkpoint} --onnx OUT" makes one from the model's source, with --format for quantized weights`);
  }
  throw new JobError('the weights of an ONNX model are not rewritten in place; convert to safetensors or GGUF');
}
