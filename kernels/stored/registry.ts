/** Every stored layout. A new one is a file here, a line below, and where its tensors are recognised from names, a file in kernels/checkpoint/layouts. */
import type { TensorInfo, TensorReader } from '../checkpoint';
import { awqLayout } from './awq';
import { bitsandbytesLayout } from './bitsandbytes';
import { blockFloatsLayout } from './block-floats';
import { ggmlLayout } from './ggml';
import { gptqLayout } from './gptq';
import { hqqLayout } from './hqq';
import { mxfp4ExpertsLayout } from './mxfp4-experts';
import { nBits } from './n-bits';
import { affine } from './affine';
import { onnxBnb4 } from './onnx-bnb4';
import { onnxSparse } from './onnx-sparse';
import { packedBits } from './packed-bits';
import { packedIntegersLayout } from './packed-integers';
import { scaledLayout } from './scaled';
import type { StoredLayout, ValueReader } from './stored-layout';

export const LAYOUTS: readonly StoredLayout[] = [
  ggmlLayout, gptqLayout, awqLayout, packedIntegersLayout, blockFloatsLayout, mxfp4ExpertsLayout, bitsandbytesLayout, hqqLayout, scaledLayout,
  packedBits, affine, nBits, onnxBnb4, onnxSparse,
];

/**
 * Opens an encoded tensor for reading values.
 * @throws Error for a tensor without encoding, or with one that no layout knows (a reader and the registry disagree).
 */
export function storedValues(tensor: TensorInfo, reader: TensorReader): ValueReader {
  const layout = LAYOUTS.find(({ id }) => id === tensor.encoding?.layout);
  if (!layout) throw new Error(`no stored layout "${tensor.encoding?.layout}"`);
  return layout.open(tensor, reader);
}
