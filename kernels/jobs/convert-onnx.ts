/** Convert to ONNX: the graph of an ONNX model with its weights quantized. Other checkpoints have no graph. */
import { JobError, type ConvertParams, type ConvertResult, type JobContext } from './job';
import { openForJob } from './weights';

export async function convertToOnnx(params: ConvertParams, _context: JobContext): Promise<ConvertResult> {
  const checkpoint = await openForJob(params.checkpoint);
  if (checkpoint.format !== 'onnx') {
    throw new JobError(`${params.checkpoint} holds weights, but no graph of operators, which an ONNX model needs; "bitlens trace MODEL.py --checkpoint ${params.checkpoint} --onnx OUT" makes one from the model's source, with --format for quantized weights`);
  }
  throw new JobError('the graph of an ONNX model is written by the verbs that quantize it: "bitlens quantize MODEL.onnx --format F --out OUT.onnx"; convert to safetensors or GGUF for its weights alone');
}
