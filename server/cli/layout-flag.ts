/** The layout of an export, as verbs take it: one of those that the file has. */
import { defaultLayout, EXPORT_LAYOUTS, kindOfFile, layoutProblem, layoutsOf, type LayoutId } from '../../kernels/jobs/layouts';
import { UsageError } from './arguments';

export const LAYOUTS: readonly LayoutId[] = EXPORT_LAYOUTS.map(({ id }) => id);
export const LAYOUT_HELP = `how quantized weights are stored. safetensors: ${layoutsOf('safetensors').join(', ')}; else ${defaultLayout('safetensors')}. FILE.onnx: ${layoutsOf('onnx').join(', ')}; else ${defaultLayout('onnx')} (MatMulNBits, qdq or ordinary values, whichever fits)`;

/** @throws UsageError for a layout that a file of this name does not have */
export function layoutFor(file: string, text: string | undefined): LayoutId {
  const layout = LAYOUTS.find((each) => each === text);
  const problem = layout && file !== '' ? layoutProblem(file, layout) : null;
  if (problem !== null) throw new UsageError(problem);
  return layout ?? defaultLayout(kindOfFile(file));
}
