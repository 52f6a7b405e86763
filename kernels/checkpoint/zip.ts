import { crc32, inflateRawSync } from 'node:zlib';
import { checkRange, type ByteSource } from './byte-source';
import type { PackedRange } from './checkpoint';
import { InflateError, Inflater } from './inflate';
import { counted, FETCH_AGAIN, refuse, SAVE_AGAIN, shown } from './problems';
import type { ProblemList } from './problems';
import { breathe, readLong, type ReaderContext } from './reader';

/** One member of a zip archive, as the central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated; others are not read. */
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  /** Byte offset of the local header. */
  readonly header: number;
  /** Byte offset of the entry in the central directory, for messages. */
  readonly at: number;
}

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50;
/** Deflate cannot expand further than this. */
const MOST_EXPANSION = 1032;
/** What is read of a checkpoint's members (pickles, a few words of text) is never packed tighter than this by an honest program. */
const HONEST_EXPANSION = 100;

/**
 * A zip archive read through its central directory (PKWARE APPNOTE 6.3.10, with zip64). Wrong checksums, encryption flags
 * and data before the archive do not hide a member, because the loaders of checkpoints do not mind them either; every
 * difference between the directory and a member's own header is reported.
 */
export class ZipArchive {
  /** Data ranges found so far, by header offset. */
  private readonly starts = new Map<ZipEntry, number>();
  private differences = 0;
  private readonly told = new Set<ZipEntry>();

  private constructor(private readonly source: ByteSource, readonly entries: readonly ZipEntry[],
    private readonly byName: ReadonlyMap<string, ZipEntry>, private readonly directory: number, private readonly problems: ProblemList) {}

  static async open(source: ByteSource, context: ReaderContext, problems: ProblemList): Promise<ZipArchive> {
    const end = findEnd(source, problems);
    const { limits } = context;
    if (end.count > limits.zipEntries) refuse(source.path, `the archive claims ${end.count} entries, more than ${limits.zipEntries}`, SAVE_AGAIN, { offset: end.at });
    if (end.size > limits.zipDirectory) refuse(source.path, `the archive's directory claims ${end.size} bytes, more than ${limits.zipDirectory}`, SAVE_AGAIN, { offset: end.at });
    checkRange(source, end.offset, end.size);
    const directory = await readLong(source, end.offset, end.size, context);
    const entries = await readDirectory(source, directory, end, context, problems);
    const byName = new Map<string, ZipEntry>();
    for (const entry of entries) {
      const other = byName.get(entry.name);
      if (other) refuse(source.path, `the archive has two entries named ${shown(entry.name)}, and loaders differ in which they read`, SAVE_AGAIN, { offset: entry.at });
      byName.set(entry.name, entry);
    }
    return new ZipArchive(source, entries, byName, end.offset, problems);
  }

  get(name: string): ZipEntry | undefined {
    return this.byName.get(name);
  }

  /** Byte offset of a member's data, after its local header has been read and compared with the directory. */
  dataStart(entry: ZipEntry): number {
    const known = this.starts.get(entry);
    if (known !== undefined) return known;
    const { source } = this;
    const name = Buffer.from(entry.name, 'utf8');
    if (entry.header + 30 > this.directory) refuse(source.path, `the header of ${shown(entry.name)} would start inside the directory or beyond it`, FETCH_AGAIN, { offset: entry.at });
    const header = source.read(entry.header, Math.min(30 + name.length, source.size - entry.header));
    if (header.readUInt32LE(0) !== LOCAL) refuse(source.path, `the directory says ${shown(entry.name)} starts here, but there is no member`, FETCH_AGAIN, { offset: entry.header });
    const nameLength = header.readUInt16LE(26);
    const start = entry.header + 30 + nameLength + header.readUInt16LE(28);
    this.compare(entry, header, nameLength, name);
    if (start + entry.compressedSize > this.directory) {
      refuse(source.path, `${shown(entry.name)} needs ${counted(entry.compressedSize, 'byte')} but would run into the directory`, FETCH_AGAIN, { offset: start });
    }
    this.starts.set(entry, start);
    return start;
  }

  /** Loaders may believe either header: says so where they differ. Sizes of zero stand in the local one when they follow the data. */
  private compare(entry: ZipEntry, header: Buffer, nameLength: number, name: Buffer): void {
    const differs: string[] = [];
    if (nameLength !== name.length || !header.subarray(30, 30 + nameLength).equals(name)) differs.push('name');
    if (header.readUInt16LE(8) !== entry.method) differs.push('method');
    if (((header.readUInt16LE(6) ^ entry.flags) & 0x61) !== 0) differs.push('encryption flags');
    const sum = header.readUInt32LE(14);
    if (sum !== entry.crc && sum !== 0 && entry.crc !== 0) differs.push('checksum');
    const sizes = [header.readUInt32LE(18), header.readUInt32LE(22)];
    const later = (header.readUInt16LE(6) & 8) !== 0;
    const agree = (local: number, central: number): boolean => local === central || local === 0xffffffff || (later && local === 0);
    if (!agree(sizes[0], entry.compressedSize) || !agree(sizes[1], entry.size)) differs.push('size');
    if ((entry.flags & 0x61) !== 0) {
      this.problems.add('questionable', `${shown(entry.name)} is marked as encrypted or patched, which PyTorch ignores and other programs do not`, SAVE_AGAIN, { offset: entry.at });
    }
    if (differs.length > 0 && this.differences++ < 20) {
      this.problems.add('questionable', `the directory and the header of ${shown(entry.name)} give a different ${differs.join(' and ')}, so loaders may read it differently`, SAVE_AGAIN, { offset: entry.header });
    }
  }

  /**
   * A member's contents. A stored member is read as it is; a deflated one is inflated up to the size it declares and no
   * further.
   * @param most refuses a member that is or claims to be longer.
   */
  async contents(entry: ZipEntry, most: number, context: ReaderContext): Promise<Buffer> {
    const { source } = this;
    const where = { offset: entry.at };
    if (entry.size > most) refuse(source.path, `${shown(entry.name)} is ${entry.size} bytes, more than the ${most} that are read`, SAVE_AGAIN, where);
    const start = this.dataStart(entry);
    if (entry.method === 0) {
      if (entry.size !== entry.compressedSize) refuse(source.path, `${shown(entry.name)} is stored but gives two sizes, ${entry.compressedSize} and ${entry.size}`, FETCH_AGAIN, where);
      return this.summed(entry, await readLong(source, start, entry.size, context));
    }
    if (entry.method !== 8) refuse(source.path, `${shown(entry.name)} is compressed with method ${entry.method}; only stored and deflated members are read`, SAVE_AGAIN, where);
    if (entry.size > HONEST_EXPANSION * entry.compressedSize + 2 ** 20) {
      refuse(source.path, `${shown(entry.name)} would inflate from ${entry.compressedSize} to ${entry.size} bytes, which no pickle does`, SAVE_AGAIN, where);
    }
    const cap = Math.min(entry.size, MOST_EXPANSION * entry.compressedSize + 65_536);
    const packed = await readLong(source, start, entry.compressedSize, context);
    let inflated: Buffer;
    try {
      inflated = inflateRawSync(packed, { maxOutputLength: Math.max(1, cap) });
    } catch (error) {
      return refuse(source.path, `${shown(entry.name)} cannot be inflated to the ${entry.size} bytes it declares (${(error as Error).message})`, FETCH_AGAIN, where);
    }
    if (inflated.length !== entry.size) refuse(source.path, `${shown(entry.name)} declares ${counted(entry.size, 'byte')} but inflates to ${inflated.length}`, FETCH_AGAIN, where);
    return this.summed(entry, inflated);
  }

  /**
   * Says when contents do not have the checksum that the directory gives. Only what is read whole is summed: PyTorch sums
   * nothing, and can be told to write 0 for a sum that was never made.
   */
  private summed(entry: ZipEntry, contents: Buffer): Buffer {
    if (entry.crc === 0 || this.told.has(entry) || crc32(contents) === entry.crc) return contents;
    this.told.add(entry);
    this.problems.add('questionable', `${shown(entry.name)} does not have the checksum the archive gives for it: it was damaged or changed afterwards; PyTorch reads it all the same, other programs do not`, FETCH_AGAIN, { offset: entry.at });
    return contents;
  }

  /** The first bytes of a member (inflated when deflated, no further than asked), to see what it is; empty when they cannot be had. */
  peek(entry: ZipEntry, length: number): Buffer {
    const start = this.dataStart(entry);
    if (entry.method === 0) return this.source.read(start, Math.min(length, entry.compressedSize));
    if (entry.method !== 8) return Buffer.alloc(0);
    try {
      return Buffer.from(Inflater.head(entry.compressedSize, (into, at) => { this.source.readInto(into, start + at); }, Math.min(length, entry.size)));
    } catch (error) {
      if (error instanceof InflateError) return Buffer.alloc(0);
      throw error;
    }
  }

  /**
   * Where a member's contents can be read by position: bytes of the file, or a compressed part of it.
   * @throws CheckpointError for other methods of compression, and for sizes that cannot be true.
   */
  place(entry: ZipEntry): { readonly offset: number; readonly packed?: PackedRange } {
    const { source } = this;
    const where = { offset: entry.at };
    const start = this.dataStart(entry);
    if (entry.method === 0) {
      if (entry.size !== entry.compressedSize) refuse(source.path, `${shown(entry.name)} is stored but gives two sizes, ${entry.compressedSize} and ${entry.size}`, FETCH_AGAIN, where);
      return { offset: start };
    }
    if (entry.method !== 8) refuse(source.path, `${shown(entry.name)} is compressed with method ${entry.method}; only stored and deflated members are read`, SAVE_AGAIN, where);
    if (entry.size > MOST_EXPANSION * entry.compressedSize + 65_536) {
      refuse(source.path, `${shown(entry.name)} declares ${counted(entry.size, 'byte')}, more than ${entry.compressedSize} compressed ones can hold`, FETCH_AGAIN, where);
    }
    return { offset: 0, packed: { method: 'deflate', start, length: entry.compressedSize, size: entry.size } };
  }

  /** Refuses an archive in which the data of two of the given members overlap. */
  refuseOverlaps(entries: Iterable<ZipEntry>): void {
    const ranges = [...entries].map((entry) => ({ entry, start: this.dataStart(entry) })).sort((a, b) => a.start - b.start || a.entry.header - b.entry.header);
    for (let i = 1; i < ranges.length; i++) {
      const before = ranges[i - 1];
      if (ranges[i].entry.header < before.start + before.entry.compressedSize) {
        refuse(this.source.path, `${shown(ranges[i].entry.name)} overlaps ${shown(before.entry.name)} in the archive`, SAVE_AGAIN, { offset: ranges[i].entry.header });
      }
    }
  }
}

interface End { count: number; size: number; offset: number; at: number; shift: number }

/** Finds the end record, searching back over the longest comment, and its zip64 form. */
function findEnd(source: ByteSource, problems: ProblemList): End {
  const tailLength = Math.min(source.size, 22 + 65_535);
  const tailStart = source.size - tailLength;
  const tail = source.read(tailStart, tailLength);
  let at = -1;
  for (let i = tailLength - 22; i >= 0; i--) {
    if (tail[i] === 0x50 && tail.readUInt32LE(i) === END && i + 22 + tail.readUInt16LE(i + 20) <= tailLength) { at = i; break; }
  }
  if (at < 0) refuse(source.path, 'the zip archive has no end record: the file is cut short', FETCH_AGAIN, { offset: source.size });
  const endAt = tailStart + at;
  if (endAt + 22 + tail.readUInt16LE(at + 20) < source.size) {
    problems.add('questionable', `${counted(source.size - endAt - 22 - tail.readUInt16LE(at + 20), 'byte', ['follows', 'follow'])} the end of the archive`, SAVE_AGAIN, { offset: endAt + 22 });
  }
  let end = { count: tail.readUInt16LE(at + 10), size: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16), at: endAt, shift: 0 };
  let directoryEnd = endAt;
  const needs64 = end.count === 0xffff || end.size === 0xffffffff || end.offset === 0xffffffff;
  if (endAt >= 20) {
    const locator = source.read(endAt - 20, 20);
    if (locator.readUInt32LE(0) === LOCATOR64) {
      const record = locate64(source, endAt, locator);
      if (record) {
        end = { ...record, shift: 0 };
        directoryEnd = record.at;
        if (record.end !== endAt - 20) {
          problems.add('questionable', `${counted(Math.abs(endAt - 20 - record.end), 'byte', ['lies', 'lie'])} between the two end records of the archive, so programs may find another archive in the file`, SAVE_AGAIN, { offset: record.at });
        }
      } else if (needs64) refuse(source.path, 'the zip64 end record is missing', FETCH_AGAIN, { offset: endAt - 20 });
    } else if (needs64) refuse(source.path, 'the archive needs a zip64 end record but has none', FETCH_AGAIN, { offset: endAt });
  }
  const shift = directoryEnd - end.size - end.offset;
  if (!Number.isSafeInteger(shift) || shift < 0) {
    refuse(source.path, `the archive's directory [${end.offset}, +${end.size}] does not end before its end record`, FETCH_AGAIN, { offset: end.at });
  }
  if (shift > 0) {
    problems.add('questionable', `${counted(shift, 'byte', ['stands', 'stand'])} before the archive, so that programs may take the file for something else`, SAVE_AGAIN, { offset: 0 });
  }
  return { ...end, offset: end.offset + shift, shift };
}

/** The zip64 end record: where the locator says, or directly before the locator when bytes were put before the archive. */
function locate64(source: ByteSource, endAt: number, locator: Buffer): (Omit<End, 'shift'> & { end: number }) | null {
  for (const at of [Number(locator.readBigUInt64LE(8)), endAt - 76]) {
    if (!Number.isSafeInteger(at) || at < 0 || at + 56 > endAt - 20) continue;
    const record = source.read(at, 56);
    if (record.readUInt32LE(0) !== END64) continue;
    const [count, size, offset] = [32, 40, 48].map((field) => Number(record.readBigUInt64LE(field)));
    return { count, size, offset, at, end: at + 12 + Number(record.readBigUInt64LE(4)) };
  }
  return null;
}

async function readDirectory(source: ByteSource, directory: Buffer, end: End, context: ReaderContext, problems: ProblemList): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = [];
  const damaged = (at: number, what: string): never => refuse(source.path, `the archive's directory is damaged: ${what}`, FETCH_AGAIN, { offset: end.offset + at });
  let at = 0;
  while (at < directory.length) {
    if (entries.length % 20_000 === 19_999) await breathe(context);
    if (entries.length >= context.limits.zipEntries) damaged(at, `it holds more than ${context.limits.zipEntries} entries`);
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== CENTRAL) damaged(at, 'an entry is expected');
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (next > directory.length) damaged(at, 'an entry runs past its end');
    const sizes = { size: directory.readUInt32LE(at + 24), compressed: directory.readUInt32LE(at + 20), header: directory.readUInt32LE(at + 42) };
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    if (!widen(extra, sizes)) damaged(at, 'an entry lacks the 64-bit sizes it announces');
    const header = sizes.header + end.shift;
    if (!Number.isSafeInteger(header) || header + sizes.compressed > end.offset) damaged(at, 'an entry points outside the archive');
    entries.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameLength), method: directory.readUInt16LE(at + 10), flags: directory.readUInt16LE(at + 8),
      crc: directory.readUInt32LE(at + 16), compressedSize: sizes.compressed, size: sizes.size, header, at: end.offset + at,
    });
    at = next;
  }
  if (entries.length !== end.count && (entries.length & 0xffff) !== end.count) {
    problems.add('questionable', `the archive claims ${counted(end.count, 'entry')} but its directory lists ${entries.length}`, SAVE_AGAIN, { offset: end.at });
  }
  return entries;
}

/** Takes the 64-bit values of the zip64 extra field, which stand only for those that are all ones in the entry. */
function widen(extra: Buffer, sizes: { size: number; compressed: number; header: number }): boolean {
  const wanted = (['size', 'compressed', 'header'] as const).filter((field) => sizes[field] === 0xffffffff);
  if (wanted.length === 0) return true;
  for (let at = 0; at + 4 <= extra.length;) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && at + 4 + length <= extra.length) {
      if (length < wanted.length * 8) return false;
      wanted.forEach((field, index) => { sizes[field] = Number(extra.readBigUInt64LE(at + 4 + index * 8)); });
      return wanted.every((field) => Number.isSafeInteger(sizes[field]));
    }
    at += 4 + length;
  }
  return false;
}

