import { AtomicFile, NODE_FILES, type FileOperations } from './atomic-file';
import { checkedBytes, checkedProduct } from './checked';
import { DTYPE_BITS, type DType } from './checkpoint';
import { DEFAULT_LIMITS } from './limits';
import { shown } from './problems';

/** One tensor to write. `write` hands over its bytes, little-endian and row-major, in pieces of any size. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  write(sink: (chunk: Uint8Array) => void): void | Promise<void>;
}

export interface WriteOptions {
  readonly signal?: AbortSignal;
  readonly files?: FileOperations;
  /** Looks at the whole file, which is on the disk under a name of its own, before it takes its place. When it throws there is no file. */
  readonly prove?: (temporary: string) => Promise<void>;
}

/** Element types of the format. Quantized types of PyTorch are stored as the integers they are. */
const STORED_AS: Partial<Record<DType, string>> = { QI8: 'I8', QU8: 'U8', QI32: 'I32' };
const NOT_STORED: ReadonlySet<DType> = new Set(['C128', 'QU4X2', 'QU2X4']);

/** Whether safetensors has an element type for these. */
export const canStore = (dtype: DType): boolean => !NOT_STORED.has(dtype);

/**
 * Writes a safetensors file atomically, streaming: entries are asked for their bytes in order, one after the other.
 *
 * @param entries iterated once; names must be unique, and each entry must write exactly the bytes of its shape.
 * @param metadata pairs for `__metadata__`.
 * @returns size of the file and SHA-256 of its bytes.
 * @throws Error when an entry is wrong, a write fails or the signal is aborted; the destination is then untouched.
 */
export async function writeSafetensors(path: string, entries: Iterable<SafetensorsEntry>, metadata: Iterable<readonly [string, string]> = [],
  options: WriteOptions = {}): Promise<{ bytes: number; sha256: string }> {
  const list = [...entries];
  const sizes = list.map(sizeOf);
  const header = encodeHeader(list, sizes, metadata);
  const file = new AtomicFile(path, options.files ?? NODE_FILES);
  try {
    file.write(header);
    for (const [index, entry] of list.entries()) {
      options.signal?.throwIfAborted();
      let written = 0;
      await entry.write((chunk) => {
        options.signal?.throwIfAborted();
        written += chunk.length;
        if (written > sizes[index]) throw new Error(`${shown(entry.name)} wrote more than the ${sizes[index]} bytes of its shape`);
        file.write(chunk);
      });
      if (written !== sizes[index]) throw new Error(`${shown(entry.name)} wrote ${written} bytes, but its shape needs ${sizes[index]}`);
    }
    options.signal?.throwIfAborted();
    if (options.prove) {
      file.finish();
      await options.prove(file.temporary);
    }
    const sha256 = await file.commit();
    return { bytes: file.bytes, sha256 };
  } catch (error) {
    file.discard();
    throw error;
  }
}

function sizeOf(entry: SafetensorsEntry): number {
  if (NOT_STORED.has(entry.dtype)) throw new Error(`${shown(entry.name)}: safetensors has no element type for ${entry.dtype}`);
  const count = entry.shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) ? checkedProduct(entry.shape, Number.MAX_SAFE_INTEGER) : null;
  const bytes = count === null ? null : checkedBytes(count, DTYPE_BITS[entry.dtype]);
  if (bytes === null) throw new Error(`${shown(entry.name)}: the shape [${entry.shape.join(', ')}] of ${entry.dtype} does not make whole bytes`);
  return bytes;
}

/** Length, JSON and spaces up to a multiple of 8, so that the data is aligned. */
function encodeHeader(entries: readonly SafetensorsEntry[], sizes: readonly number[], metadata: Iterable<readonly [string, string]>): Buffer {
  const parts: string[] = [];
  const pairs = [...metadata];
  unique(pairs.map(([key]) => key), 'metadata key');
  unique(entries.map((entry) => entry.name), 'tensor name');
  if (pairs.length > 0) parts.push(`"__metadata__":{${pairs.map(([key, value]) => `${text(key)}:${text(value)}`).join(',')}}`);
  let begin = 0;
  entries.forEach((entry, index) => {
    if (entry.name === '__metadata__') throw new Error('a tensor cannot be named __metadata__ in safetensors');
    const end = begin + sizes[index];
    parts.push(`${text(entry.name)}:{"dtype":"${STORED_AS[entry.dtype] ?? entry.dtype}","shape":[${entry.shape.join(',')}],"data_offsets":[${begin},${end}]}`);
    begin = end;
  });
  const json = Buffer.from(`{${parts.join(',')}}`, 'utf8');
  const length = Math.ceil(json.length / 8) * 8;
  if (length > DEFAULT_LIMITS.safetensorsHeader) throw new Error(`the header would be ${length} bytes, more than the ${DEFAULT_LIMITS.safetensorsHeader} that safetensors allows`);
  const header = Buffer.alloc(8 + length, 0x20);
  header.writeBigUInt64LE(BigInt(length), 0);
  json.copy(header, 8);
  return header;
}

function unique(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`the ${what} ${shown(name)} is given twice`);
    seen.add(name);
  }
}

function text(value: string): string {
  if (/\p{Surrogate}/u.test(value)) throw new Error(`${shown(value)} holds half of a surrogate pair and cannot be written as UTF-8`);
  return JSON.stringify(value);
}
