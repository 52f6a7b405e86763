/** Arrays in files (.npy, .npz, .safetensors and whatever else the readers open): one array is the samples, read one by one. */
import { DTYPE_BITS, elementCount, FLOAT_DTYPES, openCheckpoint, TensorReader, type TensorInfo } from '../checkpoint';
import { numberReader, unreadable, type NumberReader } from '../jobs/numbers';
import { chosenArray, splitName } from './array-name';
import type { SampleSource } from './data';

export class SampleArray implements SampleSource {
  readonly classes = null;
  readonly count: number;
  /** Shape of one sample. */
  readonly shape: readonly number[];
  readonly whole: boolean;
  private readonly read: NumberReader;

  private constructor(readonly name: string, readonly tensor: TensorInfo, private readonly reader: TensorReader) {
    [this.count] = tensor.shape as [number];
    this.shape = tensor.shape.slice(1);
    this.whole = !FLOAT_DTYPES.has(tensor.dtype) && !tensor.encoding;
    this.read = numberReader(tensor, reader);
  }

  /** @param name `file` or `file:array`. @throws Error that says what is wrong with the file. */
  static async open(name: string): Promise<SampleArray> {
    const { file, array } = splitName(name);
    const checkpoint = await openCheckpoint(file);
    const tensor = chosenArray(checkpoint.tensors, array, file);
    const reason = unreadable(tensor) ?? (tensor.shape.length === 0 ? 'it is a single number, not an array of samples' : tensor.dtype.startsWith('C') ? 'complex numbers are no inputs' : null);
    if (reason) throw new Error(`${name} cannot be used as samples: ${reason}`);
    return new SampleArray(name, tensor, TensorReader.open(checkpoint));
  }

  get ids(): boolean { return this.whole && DTYPE_BITS[this.tensor.dtype] > 8; }

  /** One sample into `out`. */
  sample(index: number, out: Float64Array): void {
    const per = elementCount(this.shape);
    this.read(index * per, per, out);
  }

  close(): void { this.reader.close(); }
}
