/** The key-value pairs of a GGUF header: walked once, values kept where they are small, the rest as ranges of the file. */
import type { ByteCursor } from './byte-cursor';
import { decodeText } from './gguf-text';
import { counted, FETCH_AGAIN, refuse, shown } from './problems';
import { breathe, type ReaderContext } from './reader';

/** Types of a value, by their number in the file; 9 is an array of one of the others. */
export const GGUF_TYPES = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32', 'bool', 'string', 'array', 'uint64', 'int64', 'float64'] as const;
export type GgufType = Exclude<typeof GGUF_TYPES[number], 'array'>;
export type GgufScalar = number | bigint | boolean | string;

export const GGUF_TYPE_BYTES: Readonly<Record<GgufType, number>> = {
  uint8: 1, int8: 1, uint16: 2, int16: 2, uint32: 4, int32: 4, float32: 4, bool: 1, uint64: 8, int64: 8, float64: 8,
  // Its length; the text follows.
  string: 8,
};

/** Longest key: what the specification allows. */
const KEY_BYTES = 65_535;
/** Items of an array that are kept. */
const ITEMS_KEPT = 100;
/** Strings passed over between two pauses. */
const STRINGS_AT_ONCE = 50_000;
/** Bytes of the smallest pair: length of a key, type, one byte. */
const SMALLEST_PAIR = 8 + 4 + 1;

/** One pair of a GGUF header. */
export interface GgufPair {
  readonly key: string;
  readonly type: GgufType;
  /** Items, for an array. */
  readonly items?: number;
  /** Where the value lies in the file: behind its type, and of an array behind the number of items. */
  readonly offset: number;
  readonly bytes: number;
  /** The value, or the first items of an array. Absent for a value too long to keep. */
  readonly value?: GgufScalar | readonly GgufScalar[];
}

/**
 * Reads `count` pairs.
 * @throws CheckpointError for what ggml refuses: an empty key, a key given twice, an unknown type, an array of arrays, a value that
 * does not fit in the file.
 */
export async function readPairs(cursor: ByteCursor, count: number, path: string, context: ReaderContext): Promise<GgufPair[]> {
  const pairs: GgufPair[] = [];
  const keys = new Set<string>();
  const keeper = new Keeper(context.limits.stringKept, context.limits.metadataBytes);
  for (let index = 0; index < count; index++) {
    if (index % 10_000 === 9999) await breathe(context);
    const at = cursor.position;
    const length = cursor.u64(`the length of key ${index}`);
    if (length === 0n || length > KEY_BYTES) {
      refuse(path, length === 0n ? `key ${index} of the metadata is empty` : `key ${index} of the metadata claims ${length} bytes; keys have at most ${KEY_BYTES}`, FETCH_AGAIN, { offset: at });
    }
    const key = decodeText(cursor.bytes(Number(length), `key ${index}`)).text;
    if (keys.has(key)) refuse(path, `the metadata key ${shown(key)} is given twice`, 'Write the file again with a current program', { offset: at });
    keys.add(key);
    keeper.spend(key.length);
    pairs.push(await readValue(cursor, key, path, keeper, context));
  }
  return pairs;
}

/** Refuses a count of pairs that cannot be, before anything is made for them. */
export function checkPairCount(count: bigint, at: number, left: number, most: number, path: string): number {
  if (count > BigInt(most) || Number(count) * SMALLEST_PAIR > left) {
    refuse(path, `the header claims ${counted(count, 'metadata entry')}, more than ${count > BigInt(most) ? `the ${most} that are read` : `its ${left} bytes can hold`}`, FETCH_AGAIN, { offset: at });
  }
  return Number(count);
}

async function readValue(cursor: ByteCursor, key: string, path: string, keeper: Keeper, context: ReaderContext): Promise<GgufPair> {
  const what = `the value of ${shown(key, 80)}`;
  const at = cursor.position;
  let type = cursor.u32(`the type of ${shown(key, 80)}`);
  if (type !== 9) {
    const name = known(type, key, path, at);
    const offset = cursor.position;
    const value = readScalar(cursor, name, what, keeper);
    return { key, type: name, offset, bytes: cursor.position - offset, ...(value === undefined ? {} : { value }) };
  }
  type = cursor.u32(`the type of the items of ${shown(key, 80)}`);
  const name = known(type, key, path, at + 4);
  const claimed = cursor.u64(`the number of items of ${shown(key, 80)}`);
  const each = GGUF_TYPE_BYTES[name];
  if (claimed > BigInt(Math.floor(cursor.left / each))) {
    refuse(path, `${shown(key, 80)} claims ${claimed} items of ${name}, more than the ${counted(cursor.left, 'byte')} left can hold`, FETCH_AGAIN, { offset: at + 8 });
  }
  const items = Number(claimed);
  const offset = cursor.position;
  const kept: GgufScalar[] = [];
  const keep = Math.min(items, ITEMS_KEPT);
  for (let i = 0; i < keep; i++) {
    const value = readScalar(cursor, name, what, keeper);
    if (value !== undefined) kept.push(value);
  }
  if (name === 'string') {
    for (let i = keep; i < items; i++) {
      if (i % STRINGS_AT_ONCE === STRINGS_AT_ONCE - 1) await breathe(context);
      cursor.skipString(what);
    }
  } else cursor.skip((items - keep) * each, what);
  return { key, type: name, items, offset, bytes: cursor.position - offset, value: kept };
}

function known(type: number, key: string, path: string, at: number): GgufType {
  const name = GGUF_TYPES[type];
  if (name === undefined) return refuse(path, `${shown(key, 80)} has the unknown value type ${type}`, `${FETCH_AGAIN}; update Bitlens if the file is newer than it`, { offset: at });
  if (name === 'array') return refuse(path, `${shown(key, 80)} is an array of arrays, which ggml does not read`, 'Write the file again without it', { offset: at });
  return name;
}

/** The value, or undefined for one that is passed over. */
function readScalar(cursor: ByteCursor, type: GgufType, what: string, keeper: Keeper): GgufScalar | undefined {
  if (type === 'string') {
    const length = cursor.length(what);
    if (keeper.keeps(length)) return decodeText(cursor.bytes(length, what)).text;
    cursor.skip(length, what);
    return undefined;
  }
  const bytes = cursor.bytes(GGUF_TYPE_BYTES[type], what);
  return keeper.keeps(bytes.length) ? decodeScalar(bytes, type, cursor.bigEndian) : undefined;
}

/** One value that is no string. */
export function decodeScalar(bytes: Buffer, type: Exclude<GgufType, 'string'>, bigEndian: boolean): GgufScalar {
  const ordered = bigEndian ? Buffer.from(bytes).reverse() : bytes;
  switch (type) {
    case 'uint8': return ordered.readUInt8();
    case 'int8': return ordered.readInt8();
    case 'uint16': return ordered.readUInt16LE();
    case 'int16': return ordered.readInt16LE();
    case 'uint32': return ordered.readUInt32LE();
    case 'int32': return ordered.readInt32LE();
    case 'float32': return ordered.readFloatLE();
    case 'bool': return ordered.readUInt8() !== 0;
    case 'uint64': return ordered.readBigUInt64LE();
    case 'int64': return ordered.readBigInt64LE();
    case 'float64': return ordered.readDoubleLE();
  }
}

/** Decides what is kept: no long string, and not more than a total. */
class Keeper {
  constructor(private readonly longest: number, private budget: number) {}

  spend(bytes: number): void {
    this.budget -= bytes;
  }

  keeps(bytes: number): boolean {
    if (bytes > this.longest || bytes > this.budget) return false;
    this.budget -= bytes;
    return true;
  }
}

/** The pair as text, for the metadata of a {@link Checkpoint}. */
export function pairText(pair: GgufPair): string {
  const { value, items } = pair;
  if (items !== undefined) {
    const kept = (value as readonly GgufScalar[]).map((item) => (typeof item === 'string' ? JSON.stringify(item) : String(item)));
    return `[${kept.join(', ')}${kept.length < items ? `${kept.length > 0 ? ', ' : ''}... ${counted(items, 'item')}` : ''}]`;
  }
  return value === undefined ? `(${counted(pair.bytes, 'byte')}, not kept)` : String(value);
}
