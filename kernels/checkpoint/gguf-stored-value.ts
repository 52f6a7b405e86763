/** Metadata values that stay in their file until another file is written: a tokenizer's words are megabytes. */
import { closeSync } from 'node:fs';
import { FileSource, openRegularFile, readFully, refuseShort, sameIdentity } from './byte-source';
import type { Checkpoint, FileIdentity } from './checkpoint';
import { readGgufHeader } from './gguf';
import { GGUF_TYPE_BYTES, type GgufPair, type GgufType } from './gguf-metadata';
import { DEFAULT_LIMITS } from './limits';
import { refuse } from './problems';
import type { GgufMetadataEntry } from './write-gguf';

/** Where a value lies. */
export interface StoredGgufValue {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly offset: number;
  readonly bytes: number;
  /** Items, for an array. */
  readonly items?: number;
  readonly bigEndian: boolean;
}

const PIECE = 2 ** 20;
/** Keys that say that a file is part of a set: they do not hold for what is written from the set. */
const OF_PARTS: ReadonlySet<string> = new Set(['split.no', 'split.count', 'split.tensors.count']);

/**
 * The metadata of an opened GGUF checkpoint (of its first part), ready to be written again: whatever is not a single small value as a
 * range of the file, so that nothing is lost and little is held.
 * @throws CheckpointError when the file can no longer be read
 */
export async function readGgufMetadata(checkpoint: Checkpoint, signal?: AbortSignal): Promise<GgufMetadataEntry[]> {
  const file = checkpoint.files[0]!;
  const source = new FileSource(file.path, DEFAULT_LIMITS.readBytes);
  try {
    if (!sameIdentity(source.identity, file.identity)) refuse(file.path, `${file.path} changed while it was being read`, 'Start again when nothing is writing it');
    const context = { limits: DEFAULT_LIMITS, signal, isPart: true, openPart: () => Promise.reject(new Error('a header names no parts')) };
    const { pairs, bigEndian } = await readGgufHeader(source, context);
    return pairs.filter(({ key }) => !OF_PARTS.has(key)).map((pair) => entryOf(pair, file.path, file.identity, bigEndian));
  } finally {
    source.close();
  }
}

function entryOf({ key, type, items, offset, bytes, value }: GgufPair, path: string, identity: FileIdentity, bigEndian: boolean): GgufMetadataEntry {
  if (items === undefined && value !== undefined && typeof value !== 'string') return { key, type, value };
  return { key, type, value: { path, identity, offset, bytes, bigEndian, ...(items === undefined ? {} : { items }) } };
}

/** The bytes of a value, little-endian, piece by piece. @throws CheckpointError when the file changed */
export function* pieces(value: StoredGgufValue, type: GgufType): Generator<Uint8Array> {
  const { descriptor, identity } = openRegularFile(value.path);
  try {
    if (!sameIdentity(identity, value.identity)) refuse(value.path, `${value.path} changed while it was being read`, 'Start again when nothing is writing it');
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.allocUnsafe(length);
      if (!readFully(descriptor, bytes, offset, PIECE)) refuseShort(value.path, offset, length);
      return bytes;
    };
    const end = value.offset + value.bytes;
    if (value.bigEndian && type === 'string') {
      for (let at = value.offset; at < end;) {
        const length = Number(read(at, 8).readBigUInt64BE());
        const prefix = Buffer.alloc(8);
        prefix.writeBigUInt64LE(BigInt(length));
        yield prefix;
        const stop = at + 8 + length;
        for (let from = at + 8; from < stop; from += PIECE) yield read(from, Math.min(PIECE, stop - from));
        at = stop;
      }
      return;
    }
    const width = GGUF_TYPE_BYTES[type];
    for (let at = value.offset; at < end; at += PIECE) {
      const piece = read(at, Math.min(PIECE, end - at));
      if (value.bigEndian && width > 1) for (let i = 0; i < piece.length; i += width) piece.subarray(i, i + width).reverse();
      yield piece;
    }
  } finally {
    closeSync(descriptor);
  }
}
