/** Streams of token ids, cut into samples of one length: raw files as training code writes them, and arrays of one dimension. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { elementCount, openCheckpoint, TensorReader } from '../checkpoint';
import { numberReader } from '../jobs/numbers';
import { chosenArray, splitName } from './array-name';
import type { SampleSource } from './data';

/** Length of a sample when none is named. */
export const DEFAULT_SEQUENCE = 256;

/** A file of little-endian uint16 ids without a header. @throws Error when it is too short for one sample */
export function openRawTokens(file: string, sequence = DEFAULT_SEQUENCE): SampleSource {
  const handle = openSync(file, 'r');
  const { size } = fstatSync(handle);
  const count = Math.floor(size / 2 / sequence);
  if (size % 2 !== 0 || count === 0) {
    closeSync(handle);
    throw new Error(`${file} holds ${size} bytes; as 16-bit token ids in samples of ${sequence} it needs an even number and at least ${2 * sequence}. Ids of 32 or 64 bits go in an .npy file, and "sequence" names another length`);
  }
  const bytes = Buffer.alloc(2 * sequence);
  return {
    name: file, count, shape: [sequence], whole: true, ids: true, classes: null,
    sample(index, out) {
      readSync(handle, bytes, 0, bytes.length, index * bytes.length);
      for (let i = 0; i < sequence; i += 1) out[i] = bytes.readUInt16LE(2 * i);
    },
    close: () => closeSync(handle),
  };
}

/** An array of one dimension. @throws Error for other ranks, and when it is too short */
export async function openTokenArray(name: string, sequence: number): Promise<SampleSource> {
  const { file, array } = splitName(name);
  const checkpoint = await openCheckpoint(file);
  const tensor = chosenArray(checkpoint.tensors, array, file);
  const total = elementCount(tensor.shape);
  if (tensor.shape.length !== 1) throw new Error(`${name} has shape [${tensor.shape.join(', ')}]; "sequence" cuts a stream of one dimension`);
  const count = Math.floor(total / sequence);
  if (count === 0) throw new Error(`${name} holds ${total} tokens, fewer than one sample of ${sequence}`);
  const reader = TensorReader.open(checkpoint);
  const read = numberReader(tensor, reader);
  return { name, count, shape: [sequence], whole: true, ids: true, classes: null, sample: (index, out) => read(index * sequence, sequence, out), close: () => reader.close() };
}

/** Ids that are there already. @throws Error when there are too few */
export function tokenSamples(name: string, ids: readonly number[], sequence: number): SampleSource {
  const count = Math.floor(ids.length / sequence);
  if (count === 0) throw new Error(`${name} gives ${ids.length} tokens, fewer than one sample of ${sequence}; name a smaller "sequence" or more text`);
  return {
    name, count, shape: [sequence], whole: true, ids: true, classes: null,
    sample(index, out) { for (let i = 0; i < sequence; i += 1) out[i] = ids[index * sequence + i]!; },
    close: () => undefined,
  };
}
