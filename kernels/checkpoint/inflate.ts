/**
 * Inflates raw deflate data (RFC 1951) piece by piece, for values that are read out of a compressed stream by position:
 * Node's own inflate is either asynchronous or all at once. Nothing grows with the stream; what is kept is the window of
 * 32 KiB that the format refers back to.
 *
 * What zlib refuses is refused: codes that are over-full or incomplete, distances beyond what there is, missing ends.
 */
export class InflateError extends Error {}

const WINDOW = 32_768;
/** Bytes decoded ahead of what was asked for, beside the window. */
const AHEAD = 65_536;
const INPUT = 32_768;

/** Where decoding can go on later: between two blocks of the stream. */
export interface InflateState {
  readonly input: number;
  readonly bits: number;
  readonly bitCount: number;
  readonly output: number;
  readonly window: Uint8Array;
}

/** Codes as one table: `symbol << 4 | length` for every value of the next `bits` bits; 0 where no code stands. */
interface CodeTable { readonly table: Uint16Array; readonly bits: number }

const LENGTH_BASE = new Uint16Array([3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258]);
const LENGTH_EXTRA = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]);
const DISTANCE_BASE = new Uint16Array([1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577]);
const DISTANCE_EXTRA = new Uint8Array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13]);
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

let fixedCodes: { literals: CodeTable; distances: CodeTable } | null = null;

function fixed(): { literals: CodeTable; distances: CodeTable } {
  if (!fixedCodes) {
    const lengths = new Uint8Array(288).fill(8);
    lengths.fill(9, 144, 256).fill(7, 256, 280);
    fixedCodes = { literals: codeTable(lengths, true), distances: codeTable(new Uint8Array(32).fill(5), true) };
  }
  return fixedCodes;
}

/** @param complete refuse codes that leave values over; one single code of one bit is allowed where not. */
function codeTable(lengths: Uint8Array, complete: boolean): CodeTable {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  let bits = 15;
  while (bits > 0 && counts[bits] === 0) bits--;
  if (bits === 0) {
    if (complete) throw new InflateError('a block has no codes');
    return { table: new Uint16Array(1), bits: 0 };
  }
  let left = 1;
  for (let length = 1; length <= 15; length++) {
    left = left * 2 - counts[length];
    if (left < 0) throw new InflateError('a block has more codes than fit');
  }
  if (left > 0 && (complete || bits > 1)) throw new InflateError('a block has too few codes');
  const next = new Uint16Array(16);
  for (let length = 1, code = 0; length <= 15; length++) {
    next[length] = code;
    code = (code + counts[length]) << 1;
  }
  const table = new Uint16Array(1 << bits);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length === 0) continue;
    let code = next[length]++;
    let reversed = 0;
    for (let i = 0; i < length; i++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  }
  return { table, bits };
}

export class Inflater {
  /** The window, then what was decoded and not yet taken. */
  private readonly out: Uint8Array;
  private filled = 0;
  private taken = 0;
  /** Position in the whole output of `out[0]`. */
  private base = 0;
  private readonly input: Uint8Array;
  private inputFrom = 0;
  private inputFilled = 0;
  private inputAt = 0;
  private bits = 0;
  private bitCount = 0;
  private literals: CodeTable | null = null;
  private distances: CodeTable | null = null;
  /** Bytes left of a stored block. */
  private stored = 0;
  /** A match that did not fit. */
  private matchLeft = 0;
  private matchDistance = 0;
  private last = false;
  private ended = false;

  /**
   * @param length bytes of the compressed stream
   * @param read fills its argument from a position of the compressed stream
   * @param onBlock called between blocks: {@link state} can then be taken
   */
  constructor(private readonly length: number, private readonly read: (into: Uint8Array, offset: number) => void, private readonly onBlock?: (inflater: Inflater) => void,
    out = WINDOW + AHEAD, input = INPUT) {
    this.out = new Uint8Array(out);
    this.input = new Uint8Array(input);
  }

  /** The first `count` bytes of what a stream holds, or all when it is shorter; no more is decoded. @throws InflateError */
  static head(length: number, read: (into: Uint8Array, offset: number) => void, count: number): Uint8Array {
    const inflater = new Inflater(length, read, undefined, count, Math.min(INPUT, count + 256));
    const target = new Uint8Array(count);
    return target.subarray(0, inflater.take(target));
  }

  /** Position in the output of the next byte that {@link take} gives. */
  get position(): number { return this.base + this.taken; }

  /** Position in the output up to which the stream was decoded. */
  get decoded(): number { return this.base + this.filled; }

  /** The state between two blocks; only valid inside `onBlock`. */
  state(): InflateState {
    return {
      input: this.inputFrom + this.inputAt, bits: this.bits, bitCount: this.bitCount, output: this.decoded,
      window: this.out.slice(Math.max(0, this.filled - WINDOW), this.filled),
    };
  }

  /** Goes on from an earlier state: the next byte is that of `state.output`. */
  restore(state: InflateState): void {
    this.out.set(state.window);
    this.filled = this.taken = state.window.length;
    this.base = state.output - state.window.length;
    this.inputFrom = state.input;
    this.inputAt = this.inputFilled = 0;
    this.bits = state.bits;
    this.bitCount = state.bitCount;
    this.literals = this.distances = null;
    this.stored = this.matchLeft = 0;
    this.last = this.ended = false;
  }

  /**
   * The next bytes of the output, as many as `target` takes.
   * @returns how many there were: fewer only at the end of the stream.
   * @throws InflateError for data that is no deflate stream.
   */
  take(target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      if (this.taken === this.filled && !this.decode()) break;
      const count = Math.min(target.length - done, this.filled - this.taken);
      target.set(this.out.subarray(this.taken, this.taken + count), done);
      this.taken += count;
      done += count;
    }
    return done;
  }

  /** Passes over bytes of the output. @returns how many there were. */
  skip(count: number): number {
    let done = 0;
    while (done < count) {
      if (this.taken === this.filled && !this.decode()) break;
      const step = Math.min(count - done, this.filled - this.taken);
      this.taken += step;
      done += step;
    }
    return done;
  }

  /** Decodes more; false when the stream has ended and nothing is left. */
  private decode(): boolean {
    if (this.filled > WINDOW) {
      this.out.copyWithin(0, this.filled - WINDOW, this.filled);
      this.base += this.filled - WINDOW;
      this.filled = this.taken = WINDOW;
    }
    const from = this.filled;
    while (this.filled < this.out.length && !this.ended) {
      if (this.matchLeft > 0) this.copyMatch();
      else if (this.stored > 0) this.copyStored();
      else if (this.literals) this.symbols();
      else this.block();
    }
    return this.filled > from;
  }

  private block(): void {
    if (this.last) {
      this.ended = true;
      return;
    }
    this.onBlock?.(this);
    this.last = this.take1(1) === 1;
    const kind = this.take1(2);
    if (kind === 0) this.startStored();
    else if (kind === 1) ({ literals: this.literals, distances: this.distances } = fixed());
    else if (kind === 2) this.readCodes();
    else throw new InflateError('a block is of no known kind');
  }

  private startStored(): void {
    this.take1(this.bitCount & 7);
    const length = this.take1(16);
    if (this.take1(16) !== (length ^ 0xffff)) throw new InflateError('a stored block gives two lengths');
    this.stored = length;
  }

  private copyStored(): void {
    // Whole bytes that were already taken into the bit buffer come first.
    while (this.stored > 0 && this.bitCount >= 8 && this.filled < this.out.length) {
      this.out[this.filled++] = this.take1(8);
      this.stored--;
    }
    while (this.stored > 0 && this.filled < this.out.length) {
      if (this.inputAt === this.inputFilled && !this.fillInput()) throw new InflateError('it ends in the middle');
      const count = Math.min(this.stored, this.out.length - this.filled, this.inputFilled - this.inputAt);
      this.out.set(this.input.subarray(this.inputAt, this.inputAt + count), this.filled);
      this.inputAt += count;
      this.filled += count;
      this.stored -= count;
    }
  }

  private readCodes(): void {
    const literalCount = this.take1(5) + 257;
    const distanceCount = this.take1(5) + 1;
    const lengthCount = this.take1(4) + 4;
    if (literalCount > 286 || distanceCount > 30) throw new InflateError('a block has too many codes');
    const lengths = new Uint8Array(19);
    for (let i = 0; i < lengthCount; i++) lengths[ORDER[i]] = this.take1(3);
    const codes = codeTable(lengths, true);
    const all = new Uint8Array(literalCount + distanceCount);
    for (let at = 0; at < all.length;) {
      const symbol = this.symbol(codes);
      if (symbol < 16) {
        all[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw new InflateError('a code length repeats nothing');
      const value = symbol === 16 ? all[at - 1] : 0;
      const repeat = symbol === 16 ? 3 + this.take1(2) : symbol === 17 ? 3 + this.take1(3) : 11 + this.take1(7);
      if (at + repeat > all.length) throw new InflateError('code lengths run over their end');
      all.fill(value, at, at + repeat);
      at += repeat;
    }
    if (all[256] === 0) throw new InflateError('a block has no code for its end');
    this.literals = codeTable(all.subarray(0, literalCount), true);
    this.distances = codeTable(all.subarray(literalCount), false);
  }

  /** Literals and matches until the block ends, the output is full, or a match does not fit. */
  private symbols(): void {
    const { out, input } = this;
    const { table: literals, bits: literalBits } = this.literals!;
    const { table: distances, bits: distanceBits } = this.distances!;
    const literalMask = (1 << literalBits) - 1;
    const distanceMask = (1 << distanceBits) - 1;
    let { filled, bits, bitCount, inputAt } = this;
    // The quick way while no check of input or output can fail within one step: 9 bytes of input, 258 bytes of output.
    const safeOut = out.length - 258;
    const safeIn = this.inputFilled - 12;
    while (filled < safeOut && inputAt < safeIn) {
      while (bitCount <= 24 - 8) { bits |= input[inputAt++] << bitCount; bitCount += 8; }
      const entry = literals[bits & literalMask];
      const used = entry & 15;
      if (used === 0) throw new InflateError('a code is not one of the block');
      bits >>>= used;
      bitCount -= used;
      const symbol = entry >> 4;
      if (symbol < 256) { out[filled++] = symbol; continue; }
      if (symbol === 256) {
        this.literals = this.distances = null;
        break;
      }
      if (symbol > 285) throw new InflateError('a length is not valid');
      while (bitCount <= 24 - 8) { bits |= input[inputAt++] << bitCount; bitCount += 8; }
      const lengthExtra = LENGTH_EXTRA[symbol - 257];
      let length = LENGTH_BASE[symbol - 257] + (bits & ((1 << lengthExtra) - 1));
      bits >>>= lengthExtra;
      bitCount -= lengthExtra;
      while (bitCount <= 24 - 8) { bits |= input[inputAt++] << bitCount; bitCount += 8; }
      const place = distances[bits & distanceMask];
      const placeBits = place & 15;
      if (placeBits === 0) throw new InflateError('a distance is not one of the block');
      bits >>>= placeBits;
      bitCount -= placeBits;
      if (place >> 4 > 29) throw new InflateError('a distance is not valid');
      while (bitCount <= 24 - 8) { bits |= input[inputAt++] << bitCount; bitCount += 8; }
      const distanceExtra = DISTANCE_EXTRA[place >> 4];
      const distance = DISTANCE_BASE[place >> 4] + (bits & ((1 << distanceExtra) - 1));
      bits >>>= distanceExtra;
      bitCount -= distanceExtra;
      if (distance > filled) throw new InflateError('a distance reaches back before the start');
      for (let from = filled - distance; length > 0; length--) out[filled++] = out[from++];
    }
    this.filled = filled;
    this.bits = bits;
    this.bitCount = bitCount;
    this.inputAt = inputAt;
    if (this.literals && filled < out.length) this.oneSymbol();
  }

  /** The careful way, near the end of the input or output buffer. */
  private oneSymbol(): void {
    const symbol = this.symbol(this.literals!);
    if (symbol < 256) {
      this.out[this.filled++] = symbol;
      return;
    }
    if (symbol === 256) {
      this.literals = this.distances = null;
      return;
    }
    if (symbol > 285) throw new InflateError('a length is not valid');
    const length = LENGTH_BASE[symbol - 257] + this.take1(LENGTH_EXTRA[symbol - 257]);
    const place = this.symbol(this.distances!);
    if (place > 29) throw new InflateError('a distance is not valid');
    const distance = DISTANCE_BASE[place] + this.take1(DISTANCE_EXTRA[place]);
    if (distance > this.filled) throw new InflateError('a distance reaches back before the start');
    this.matchLeft = length;
    this.matchDistance = distance;
    this.copyMatch();
  }

  private copyMatch(): void {
    const { out } = this;
    while (this.matchLeft > 0 && this.filled < out.length) {
      out[this.filled] = out[this.filled - this.matchDistance];
      this.filled++;
      this.matchLeft--;
    }
  }

  private symbol({ table, bits }: CodeTable): number {
    // Up to `bits` bits are looked at; at the end of the stream fewer may be there, and enough.
    while (this.bitCount < bits && this.fillBits());
    const entry = table[this.bits & ((1 << bits) - 1)];
    const used = entry & 15;
    if (used === 0) throw new InflateError('a code is not one of the block');
    if (used > this.bitCount) throw new InflateError('it ends in the middle');
    this.bits >>>= used;
    this.bitCount -= used;
    return entry >> 4;
  }

  /** The next `count` bits, 16 at most. */
  private take1(count: number): number {
    while (this.bitCount < count) if (!this.fillBits()) throw new InflateError('it ends in the middle');
    const value = this.bits & ((1 << count) - 1);
    this.bits >>>= count;
    this.bitCount -= count;
    return value;
  }

  private fillBits(): boolean {
    if (this.inputAt === this.inputFilled && !this.fillInput()) return false;
    this.bits |= this.input[this.inputAt++] << this.bitCount;
    this.bitCount += 8;
    return true;
  }

  private fillInput(): boolean {
    this.inputFrom += this.inputFilled;
    this.inputAt = 0;
    this.inputFilled = Math.max(0, Math.min(this.input.length, this.length - this.inputFrom));
    if (this.inputFilled === 0) return false;
    this.read(this.input.subarray(0, this.inputFilled), this.inputFrom);
    return true;
  }
}
