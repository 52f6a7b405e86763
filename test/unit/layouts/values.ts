import { elementCount, TensorReader, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { decodeFloats } from '../../../kernels/numerics/codecs';
import { storedValues } from '../../../kernels/stored/registry';

/** All values of a tensor as a model sees it, as float32. */
export function valuesOfModelTensor(checkpoint: Checkpoint, tensor: TensorInfo): Float32Array {
  const reader = TensorReader.open(checkpoint);
  try {
    const values = new Float32Array(elementCount(tensor.shape));
    if (tensor.encoding) {
      storedValues(tensor, reader).read(0, values.length, values);
      return values;
    }
    const bytes = new Uint8Array(tensor.bytes);
    reader.readInto(tensor, 0, values.length, bytes);
    decodeFloats(tensor.dtype, bytes, values.length, values);
    return values;
  } finally {
    reader.close();
  }
}
