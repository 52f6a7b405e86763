import { AtomicFile, NODE_FILES } from './atomic-file';
import { checkedProduct } from './checked';
import { ggmlTypeNamed, type GgmlType } from './ggml-types';
import { GGUF_TYPES, GGUF_TYPE_BYTES, type GgufScalar, type GgufType } from './gguf-metadata';
import { pieces, type StoredGgufValue } from './gguf-stored-value';
import { shown } from './problems';
import type { WriteOptions } from './write-safetensors';

/** One tensor to write. `write` hands over its bytes, blocks in row-major order and little-endian, in pieces of any size. */
export interface GgufEntry {
  readonly name: string;
  /** Name of the type: `Q4_K`, `F16`. */
  readonly type: string;
  /** Outermost dimension first, as PyTorch has it; the file holds it the other way round. */
  readonly shape: readonly number[];
  write(sink: (chunk: Uint8Array) => void): void | Promise<void>;
}

/** One pair of metadata: a value, an array of values, or what another file holds (see readGgufMetadata). */
export interface GgufMetadataEntry {
  readonly key: string;
  readonly type: GgufType;
  readonly value: GgufScalar | readonly GgufScalar[] | StoredGgufValue;
}

const MAGIC = Buffer.from('GGUF');
const VERSION = 3;
const ARRAY = GGUF_TYPES.indexOf('array');
const DEFAULT_ALIGNMENT = 32;
const NAME_BYTES = 63;
const KEY_BYTES = 65_535;

/**
 * Writes a GGUF file (version 3, little-endian) atomically, streaming: what ggml, llama.cpp and the reader here accept. The
 * alignment is that of `general.alignment` where the metadata has it.
 *
 * @param entries iterated once; names must be unique and of at most 63 bytes, rows whole numbers of blocks, and each entry must
 * write exactly the bytes of its shape.
 * @param metadata pairs in the order of the file.
 * @returns size of the file and SHA-256 of its bytes.
 * @throws Error when an entry or a pair is wrong, a write fails or the signal is aborted; the destination is then untouched.
 */
export async function writeGguf(path: string, entries: Iterable<GgufEntry>, metadata: Iterable<GgufMetadataEntry> = [],
  options: WriteOptions = {}): Promise<{ bytes: number; sha256: string }> {
  const tensors = [...entries].map((entry) => ({ entry, ...checked(entry) }));
  const pairs = [...metadata];
  unique(tensors.map(({ entry }) => cString(entry.name)), 'tensor name');
  unique(pairs.map(({ key }) => key), 'metadata key');
  const alignment = alignmentOf(pairs);
  const file = new AtomicFile(path, options.files ?? NODE_FILES);
  const pad = (): void => {
    const rest = file.bytes % alignment;
    for (let left = rest === 0 ? 0 : alignment - rest; left > 0; left -= 65_536) file.write(new Uint8Array(Math.min(left, 65_536)));
  };
  try {
    file.write(Buffer.concat([MAGIC, integer(VERSION, 4), integer(tensors.length, 8), integer(pairs.length, 8)]));
    for (const pair of pairs) {
      options.signal?.throwIfAborted();
      for (const piece of encodePair(pair)) file.write(piece);
    }
    let offset = 0;
    for (const { entry, type, bytes } of tensors) {
      file.write(Buffer.concat([
        text(entry.name), integer(entry.shape.length, 4), ...[...entry.shape].reverse().map((dim) => integer(dim, 8)), integer(type.id, 4), integer(offset, 8),
      ]));
      offset += Math.ceil(bytes / alignment) * alignment;
    }
    if (tensors.length > 0) pad();
    for (const { entry, bytes } of tensors) {
      options.signal?.throwIfAborted();
      let written = 0;
      await entry.write((chunk) => {
        options.signal?.throwIfAborted();
        written += chunk.length;
        if (written > bytes) throw new Error(`${shown(entry.name)} wrote more than the ${bytes} bytes of its shape`);
        file.write(chunk);
      });
      if (written !== bytes) throw new Error(`${shown(entry.name)} wrote ${written} bytes, but its shape needs ${bytes}`);
      pad();
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

/** Bytes of a tensor of a type, or the reason why there is no such tensor in a GGUF file. */
export function ggufBytes(type: GgmlType, shape: readonly number[]): number | string {
  if (shape.length > 4) return `${shape.length} dimensions; GGUF has at most 4`;
  const count = shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) ? checkedProduct(shape, Number.MAX_SAFE_INTEGER) : null;
  if (count === null) return `the shape [${shape.join(', ')}], which is none`;
  const row = shape.at(-1) ?? 1;
  if (row % type.block !== 0) return `rows of ${row} values, no multiple of the ${type.block} of a block of ${type.name}`;
  const bytes = count / type.block * type.bytes;
  return Number.isSafeInteger(bytes) ? bytes : `more than 2^53 bytes`;
}

function checked({ name, type: typeName, shape }: GgufEntry): { type: GgmlType; bytes: number } {
  const type = ggmlTypeNamed(typeName);
  if (!type) throw new Error(`${shown(name)}: GGUF has no type ${shown(typeName, 40)}`);
  if (text(name).length - 8 > NAME_BYTES) throw new Error(`${shown(name)}: the name has ${text(name).length - 8} bytes; ggml takes at most ${NAME_BYTES}`);
  const bytes = ggufBytes(type, shape);
  if (typeof bytes === 'string') throw new Error(`${shown(name)} has ${bytes}`);
  return { type, bytes };
}

function alignmentOf(pairs: readonly GgufMetadataEntry[]): number {
  const pair = pairs.find(({ key }) => key === 'general.alignment');
  if (!pair) return DEFAULT_ALIGNMENT;
  const { value } = pair;
  if (pair.type !== 'uint32' || typeof value !== 'number' || !(value >= 1) || !Number.isInteger(Math.log2(value))) throw new Error('general.alignment must be a uint32 and a power of two');
  return value;
}

function* encodePair({ key, type, value }: GgufMetadataEntry): Generator<Uint8Array> {
  const name = text(key);
  if (name.length === 8 || name.length - 8 > KEY_BYTES) throw new Error(`the metadata key ${shown(key)} has ${name.length - 8} bytes; 1 to ${KEY_BYTES} are allowed`);
  const number = GGUF_TYPES.indexOf(type);
  const head = (items: number | undefined): Buffer => Buffer.concat(items === undefined ? [name, integer(number, 4)] : [name, integer(ARRAY, 4), integer(number, 4), integer(items, 8)]);
  if (typeof value === 'object' && 'offset' in value) {
    yield head(value.items);
    yield* pieces(value, type);
    return;
  }
  const many = typeof value === 'object' ? value : null;
  yield head(many?.length);
  for (const item of many ?? [value as GgufScalar]) yield encodeScalar(key, type, item);
}

const RANGES: Partial<Record<GgufType, readonly [bigint, bigint]>> = {
  uint8: [0n, 255n], int8: [-128n, 127n], uint16: [0n, 65_535n], int16: [-32_768n, 32_767n], uint32: [0n, 2n ** 32n - 1n], int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint64: [0n, 2n ** 64n - 1n], int64: [-(2n ** 63n), 2n ** 63n - 1n],
};

function encodeScalar(key: string, type: GgufType, value: GgufScalar): Buffer {
  const wrong = (): never => { throw new Error(`the metadata of ${shown(key)} is no ${type}: ${shown(String(value), 40)}`); };
  if (type === 'string') return typeof value === 'string' ? text(value) : wrong();
  if (type === 'bool') return typeof value === 'boolean' ? integer(value ? 1 : 0, 1) : wrong();
  if (type === 'float32' || type === 'float64') {
    if (typeof value !== 'number') return wrong();
    const bytes = Buffer.alloc(GGUF_TYPE_BYTES[type]);
    if (type === 'float32') bytes.writeFloatLE(value);
    else bytes.writeDoubleLE(value);
    return bytes;
  }
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value))) return wrong();
  const [least, most] = RANGES[type]!;
  if (BigInt(value) < least || BigInt(value) > most) return wrong();
  return integer(value, GGUF_TYPE_BYTES[type]);
}

function integer(value: number | bigint, width: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes.subarray(0, width);
}

/** Length and UTF-8. */
function text(value: string): Buffer {
  if (/\p{Surrogate}/u.test(value)) throw new Error(`${shown(value)} holds half of a surrogate pair and cannot be written as UTF-8`);
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([integer(bytes.length, 8), bytes]);
}

/** As ggml compares names. */
const cString = (name: string): string => name.split('\0', 1)[0]!;

function unique(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`the ${what} ${shown(name)} is given twice`);
    seen.add(name);
  }
}
