/** The JSON header of safetensors, read member by member: it may name millions of tensors. */
import { type DType, type TensorInfo, type TensorLocation } from './checkpoint';
import { JsonScanner, knownWords } from './json-scanner';
import { NameTable } from './name-table';
import { counted, SAVE_AGAIN, shown, type ProblemList } from './problems';
import { breathe, type ReaderContext } from './reader';

/** Element types of the format; C128 and the quantized types of PyTorch are not among them. */
const DTYPES: readonly DType[] = [
  'F32', 'BF16', 'F16', 'F8_E4M3', 'U8', 'I8', 'I32', 'I64', 'F64', 'BOOL', 'F4', 'F6_E2M3', 'F6_E3M2', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ',
  'I16', 'U16', 'U32', 'C64', 'U64',
];
const KNOWN_DTYPES: ReadonlySet<string> = new Set(DTYPES);
const DTYPE_WORDS = knownWords(DTYPES);
const FIELD_WORDS = knownWords(['dtype', 'shape', 'data_offsets']);

/** Bytes before the header: its length as an unsigned 64-bit little-endian integer. */
export const PREFIX = 8;

/** Tensors read between two pauses: a few milliseconds of work. */
const TENSORS_AT_ONCE = 20_000;

/** An element type that is none of the format's: most likely the file is newer than this program. */
export class UnknownDtypeError extends Error {
  constructor(message: string, readonly offset: number, readonly tensor: string) {
    super(message);
  }
}

/**
 * The tensors as the header declares them, by column: a header can name millions, and one object for each is what the
 * caller keeps anyway.
 */
export class Declared {
  /** What will be listed; `data.offset` is still relative to the data. Null for a name that was given again later. */
  readonly infos: (Omit<Mutable<TensorInfo>, 'data'> & { data: Mutable<TensorLocation> | null } | null)[] = [];
  /** Byte offset of each name in the file. */
  readonly at: number[] = [];
  readonly end: number[] = [];
  /** Shapes with dimensions of 2^53 and more, exactly. */
  readonly large = new Map<number, readonly (number | bigint)[]>();
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Header {
  readonly declared: Declared;
  readonly metadata: readonly (readonly [string, string])[];
}

/**
 * Reads the header, pausing now and then, so that a long one neither holds up the program nor outlives a cancel.
 * @throws JsonSyntaxError, or UnknownDtypeError; offsets count from the start of the header.
 */
export async function readHeader(header: Buffer, context: ReaderContext, problems: ProblemList): Promise<Header> {
  const { limits } = context;
  const json = new JsonScanner(header, limits.jsonDepth);
  const first = json.peek();
  if (json.position > 0 && first === 0x7b) {
    problems.add('questionable', 'white space stands before the header, which the specification forbids', SAVE_AGAIN, { offset: PREFIX });
  }
  if (first !== 0x7b) json.fail('the header must be a JSON object');
  const entries = new EntryReader(json, problems);
  const { declared } = entries;
  let metadata: [string, string][] | null = null;
  for (let more = json.openObject(); more; more = json.nextMember()) {
    const at = (json.skipSpace(), json.position);
    const name = json.key();
    if (name === '__metadata__') {
      if (metadata) json.fail('__metadata__ is given twice', at);
      metadata = parseMetadata(json, problems, limits.metadataEntries);
      continue;
    }
    const index = declared.infos.length;
    if (index >= limits.tensors) json.fail(`there are more than ${limits.tensors} tensors`, at);
    entries.read(name, PREFIX + at);
    entries.settleName(name, index);
    if (index % TENSORS_AT_ONCE === TENSORS_AT_ONCE - 1) await breathe(context);
  }
  json.end();
  return { declared, metadata: metadata ?? [] };
}

function parseMetadata(json: JsonScanner, problems: ProblemList, most: number): [string, string][] {
  if (json.takeNull()) {
    problems.add('questionable', '__metadata__ is null, which the specification forbids', SAVE_AGAIN);
    return [];
  }
  const pairs = new Map<string, string>();
  json.object((key, at) => {
    if (json.peek() !== 0x22) json.fail('a value of __metadata__ must be a string');
    if (pairs.has(key)) {
      problems.add('questionable', `the metadata key ${shown(key)} is given twice; loaders use the second`, SAVE_AGAIN, { offset: PREFIX + at });
      pairs.delete(key);
    }
    pairs.set(key, json.string());
    if (pairs.size > most) json.fail(`__metadata__ has more than ${most} entries`, at);
  });
  return [...pairs];
}

/** Reads one tensor after another into the columns; what it needs on the way is made once. */
class EntryReader {
  readonly declared = new Declared();
  private readonly shapes = new ShapeTable();
  private readonly names = new NameTable((index) => this.declared.infos[index]!.name);
  // The entry that is being read.
  private dtype: DType | null = null;
  private shape: readonly number[] | null = null;
  private large: readonly (number | bigint)[] | null = null;
  private offsets = -1;
  private begin = 0;
  private end = 0;

  constructor(private readonly json: JsonScanner, private readonly problems: ProblemList) {}

  /** A tensor's object, or the array form that the reference accepts although the specification does not know it. */
  read(name: string, at: number): void {
    const { json, problems, declared } = this;
    this.dtype = null;
    this.shape = null;
    this.large = null;
    this.offsets = -1;
    const opened = json.peek();
    const valueAt = json.position;
    if (opened === 0x5b) {
      problems.add('questionable', `${shown(name)} is written as an array, which the specification does not know`, SAVE_AGAIN, { offset: at, tensor: name });
      let count = 0;
      json.array((index) => {
        count++;
        if (index === 0) this.readDtype(name);
        else if (index === 1) this.readShape(name);
        else if (index === 2) this.readOffsets(name);
        else json.fail(`${shown(name)} has too many parts`);
      });
      if (count !== 3) json.fail(`${shown(name)} has ${counted(count, 'part')} instead of dtype, shape and data_offsets`, valueAt);
    } else {
      if (opened !== 0x7b) json.fail(`${shown(name)} must be an object with dtype, shape and data_offsets`);
      for (let more = json.openObject(); more; more = json.nextMember()) {
        const fieldAt = (json.skipSpace(), json.position);
        const field = json.key(FIELD_WORDS);
        if (field === 'dtype') {
          if (this.dtype !== null) json.fail(`${shown(name)} gives dtype twice`, fieldAt);
          this.readDtype(name);
        } else if (field === 'shape') {
          if (this.shape) json.fail(`${shown(name)} gives shape twice`, fieldAt);
          this.readShape(name);
        } else if (field === 'data_offsets') {
          if (this.offsets >= 0) json.fail(`${shown(name)} gives data_offsets twice`, fieldAt);
          this.readOffsets(name);
        } else {
          problems.add('questionable', `${shown(name)} has a field ${shown(field)} that the specification does not know`, SAVE_AGAIN, { offset: PREFIX + fieldAt, tensor: name });
          json.skipValue();
        }
      }
    }
    const { dtype, shape } = this;
    if (dtype === null || !shape || this.offsets < 0) {
      const missing = dtype === null ? 'dtype' : !shape ? 'shape' : 'data_offsets';
      return json.fail(`${shown(name)} has no ${missing}`, valueAt);
    }
    if (this.offsets !== 2) json.fail(`data_offsets of ${shown(name)} must be [begin, end]`, valueAt);
    if (this.large) declared.large.set(declared.infos.length, this.large);
    declared.infos.push({ name, dtype, shape, bytes: 0, data: { file: 0, offset: this.begin, byteOrder: 'little' } });
    declared.at.push(at);
    declared.end.push(this.end);
  }

  /** A tensor that has the name of an earlier one takes its place, as it does in the loaders. @param index of the tensor last read */
  settleName(name: string, index: number): void {
    const { infos, at } = this.declared;
    const earlier = this.names.add(name, index);
    if (earlier < 0) return;
    this.problems.add('questionable', `the name ${shown(name)} is given twice, at byte ${at[earlier]} and at byte ${at[index]}; loaders use the second`,
      'Save the checkpoint again with unique names', { offset: at[index], tensor: name });
    infos[earlier] = null;
  }

  private readDtype(name: string): void {
    const { json } = this;
    if (json.peek() !== 0x22) json.fail(`the dtype of ${shown(name)} must be a string`);
    const at = json.position;
    const text = json.word(DTYPE_WORDS);
    if (!KNOWN_DTYPES.has(text)) throw new UnknownDtypeError(`the dtype ${shown(text)} of ${shown(name)} is not one of the format`, at, name);
    this.dtype = text as DType;
  }

  private readShape(name: string): void {
    const { json, shapes } = this;
    if (json.peek() !== 0x5b) json.fail(`a dimension of ${shown(name)} must stand in an array`);
    shapes.begin();
    let large: (number | bigint)[] | null = null;
    json.array((index) => {
      const dim = json.unsigned('a dimension', name);
      if (typeof dim === 'bigint') large ??= shapes.values(index);
      large?.push(dim);
      shapes.add(Number(dim));
    });
    this.large = large;
    this.shape = shapes.take();
  }

  private readOffsets(name: string): void {
    const { json } = this;
    if (json.peek() !== 0x5b) json.fail(`a data offset of ${shown(name)} must stand in an array`);
    this.offsets = 0;
    json.array((index) => {
      // An offset beyond 2^53 loses its last digits here, but not its place outside of every file.
      const offset = Number(json.unsigned('a data offset', name));
      if (index === 0) this.begin = offset;
      else if (index === 1) this.end = offset;
      this.offsets = index + 1;
    });
  }
}

/** Shapes repeat: equal ones share one array, which nobody changes. */
class ShapeTable {
  private readonly slots = new Array<readonly number[] | null>(4096).fill(null);
  private readonly dims: number[] = [];
  private count = 0;
  private hash = 0;

  begin(): void {
    this.count = 0;
    this.hash = 0;
  }

  add(dim: number): void {
    this.dims[this.count++] = dim;
    this.hash = (Math.imul(this.hash, 31) + dim) | 0;
  }

  /** A copy of the first dimensions of the shape that is being read. */
  values(count: number): number[] {
    return this.dims.slice(0, count);
  }

  take(): readonly number[] {
    const slot = (this.hash ^ (this.hash >>> 12)) & 4095;
    const known = this.slots[slot];
    if (known && known.length === this.count && known.every((dim, i) => dim === this.dims[i])) return known;
    return this.slots[slot] = this.values(this.count);
  }
}
