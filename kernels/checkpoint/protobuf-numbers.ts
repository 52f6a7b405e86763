import type { ProtobufRange } from './checkpoint';

/** A message that does not hold the numbers it was opened with. */
export class ProtobufNumbersError extends Error {}

/** Where reading can go on: behind a number. */
export interface NumbersState { readonly at: number; readonly runEnd: number; readonly output: number }

const WINDOW = 32_768;

/**
 * Unpacks the numbers of one repeated field of a message, packed runs and single values alike, as little-endian bytes of a
 * fixed width. Reads forward only; memory does not grow with the message.
 */
export class ProtobufNumbers {
  private readonly window = new Uint8Array(WINDOW);
  private windowFrom = 0;
  private windowEnd = 0;
  private at = 0;
  /** End of the packed run that is being read; below `at` between fields. */
  private runEnd = -1;
  private output = 0;
  /** Bytes of a number that were not taken yet. */
  private readonly rest = new Uint8Array(8);
  private restAt = 0;
  private restEnd = 0;

  /** @param read fills its argument from a position within the message */
  constructor(private readonly range: ProtobufRange, private readonly read: (into: Uint8Array, offset: number) => void) {}

  get position(): number { return this.output - (this.restEnd - this.restAt); }

  /** A state between two numbers, or null within one. */
  state(): NumbersState | null {
    return this.restAt < this.restEnd ? null : { at: this.at, runEnd: this.runEnd, output: this.output };
  }

  restore(state: NumbersState): void {
    ({ at: this.at, runEnd: this.runEnd, output: this.output } = state);
    this.restAt = this.restEnd = 0;
  }

  /** The next bytes. @returns how many there were: fewer only at the end. @throws ProtobufNumbersError */
  take(target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      if (this.restAt === this.restEnd && !this.next()) break;
      while (this.restAt < this.restEnd && done < target.length) target[done++] = this.rest[this.restAt++];
    }
    return done;
  }

  skip(count: number): number {
    let done = 0;
    while (done < count) {
      if (this.restAt === this.restEnd && !this.next()) break;
      const step = Math.min(count - done, this.restEnd - this.restAt);
      this.restAt += step;
      done += step;
    }
    return done;
  }

  /** Puts the next number into `rest`; false when there is none. */
  private next(): boolean {
    const { field, length } = this.range;
    while (this.at >= this.runEnd) {
      if (this.at >= length) return false;
      const tag = this.varint();
      const wire = tag % 8;
      const mine = Math.floor(tag / 8) === field;
      if (wire === 2) {
        const run = this.varint();
        if (this.at + run > length) throw new ProtobufNumbersError('a run goes over the end of the tensor');
        if (mine) this.runEnd = this.at + run;
        else this.at += run;
      } else if (mine) {
        this.number(wire);
        return true;
      } else if (wire === 0) this.varint();
      else if (wire === 1) this.at += 8;
      else if (wire === 5) this.at += 4;
      else throw new ProtobufNumbersError('a field has an unknown type');
    }
    // Which fields hold fixed numbers is told by their width: float_data 4, double_data 10.
    this.number(field === 4 ? 5 : field === 10 ? 1 : 0);
    if (this.at > this.runEnd) throw new ProtobufNumbersError('a number goes over the end of its run');
    return true;
  }

  private number(wire: number): void {
    const { width } = this.range;
    if (wire === 0) {
      // Byte by byte of the two's complement, so that 64 bits need no bigint.
      let low = 0, high = 0, shift = 0, byte: number;
      do {
        byte = this.byte();
        const bits = byte & 0x7f;
        if (shift < 28) low |= bits << shift;
        else if (shift === 28) { low |= bits << 28; high = bits >> 4; }
        else if (shift < 64) high |= bits << (shift - 32);
        else throw new ProtobufNumbersError('a number is longer than ten bytes');
        shift += 7;
      } while (byte >= 0x80);
      for (let i = 0; i < width; i++) this.rest[i] = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
    } else {
      const size = wire === 5 ? 4 : wire === 1 ? 8 : 0;
      if (size !== width) throw new ProtobufNumbersError('a number has another width than its type');
      for (let i = 0; i < size; i++) this.rest[i] = this.byte();
    }
    this.restAt = 0;
    this.restEnd = width;
    this.output += width;
  }

  private varint(): number {
    let value = 0;
    for (let i = 0, scale = 1; i < 10; i++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new ProtobufNumbersError('a number is longer than ten bytes');
  }

  private byte(): number {
    if (this.at < this.windowFrom || this.at >= this.windowEnd) {
      const count = Math.min(WINDOW, this.range.length - this.at);
      if (count <= 0) throw new ProtobufNumbersError('it ends in the middle of a number');
      this.read(this.window.subarray(0, count), this.at);
      this.windowFrom = this.at;
      this.windowEnd = this.at + count;
    }
    return this.window[this.at++ - this.windowFrom];
  }
}
