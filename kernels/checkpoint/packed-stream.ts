import type { DeflatedRange, ProtobufRange } from './checkpoint';
import { InflateError, Inflater, type InflateState } from './inflate';
import { FETCH_AGAIN, refuse } from './problems';
import { ProtobufNumbers, ProtobufNumbersError, type NumbersState } from './protobuf-numbers';

/** A stream that is no longer than this when unpacked is kept whole: any order of reading costs one pass. */
const KEPT_WHOLE = 16 * 2 ** 20;
/** States to go on from, at most; they are thinned out as a longer stream makes more of them. */
const MOST_STATES = 64;
const FIRST_SPACING = 2 ** 20;

interface Stream {
  readonly position: number;
  take(target: Uint8Array): number;
  skip(count: number): number;
}
interface Kept { readonly output: number; resume(): Stream }

/**
 * Reads a packed part of a file by position in what it unpacks to. Reading forward costs each byte once; going back starts
 * again at the nearest state that was kept, so that even a stream of gigabytes is read with a few megabytes of memory.
 */
export class PackedReader {
  private whole: Uint8Array | null = null;
  private current: Stream | null = null;
  private kept: Kept[] = [];
  private spacing = FIRST_SPACING;

  /**
   * @param path of the file, for messages
   * @param read fills its argument from a position of the file
   */
  constructor(private readonly path: string, private readonly range: DeflatedRange | ProtobufRange, private readonly read: (into: Uint8Array, offset: number) => void) {}

  /** Bytes of memory that this reader holds, about. */
  get held(): number {
    return (this.whole?.length ?? 0) + this.kept.length * 33_000 + 200_000;
  }

  /**
   * Fills `into` from a position of the unpacked stream.
   * @throws CheckpointError when the stream is damaged, or shorter or longer than it was declared.
   */
  readInto(into: Uint8Array, offset: number): void {
    const { size } = this.range;
    if (offset + into.length > size) throw new RangeError(`bytes ${offset}..${offset + into.length} of an unpacked stream of ${size}`);
    if (size <= KEPT_WHOLE) {
      if (!this.whole) {
        const whole = new Uint8Array(size);
        this.stream(whole, 0);
        this.whole = whole;
        this.current = null;
      }
      into.set(this.whole.subarray(offset, offset + into.length));
    } else this.stream(into, offset);
  }

  private stream(into: Uint8Array, offset: number): void {
    const { start, size } = this.range;
    const wrong = (message: string): never => refuse(this.path, `packed data cannot be unpacked to the ${size} bytes that are declared: ${message}`, FETCH_AGAIN, { offset: start });
    try {
      const stream = this.placed(offset);
      const skip = offset - stream.position;
      if (stream.skip(skip) !== skip || stream.take(into) < into.length) wrong(`it ends after ${stream.position}`);
      // One byte beyond the end must not exist.
      if (offset + into.length === size && stream.skip(1) > 0) wrong('it is longer');
    } catch (error) {
      this.current = null;
      if (error instanceof InflateError || error instanceof ProtobufNumbersError) wrong(error.message);
      throw error;
    }
  }

  /** A stream that stands at or before a position. */
  private placed(offset: number): Stream {
    const nearest = this.kept.filter((each) => each.output <= offset).pop();
    const { current } = this;
    if (current && current.position <= offset && (nearest?.output ?? 0) <= current.position + FIRST_SPACING) {
      this.keepNumbers(current);
      return current;
    }
    return (this.current = nearest ? nearest.resume() : this.start());
  }

  private start(): Stream {
    return this.range.method === 'deflate' ? this.inflater() : this.numbers();
  }

  private inflater(state?: InflateState): Inflater {
    const { start, length } = this.range;
    const made = new Inflater(length, (target, at) => { this.read(target, start + at); }, (each) => {
      if (!this.due(each.decoded)) return;
      const now = each.state();
      this.keep({ output: now.output, resume: () => this.inflater(now) });
    });
    if (state) made.restore(state);
    return made;
  }

  private numbers(state?: NumbersState): ProtobufNumbers {
    const { range } = this;
    if (range.method !== 'protobuf') throw new Error('no protobuf');
    const made = new ProtobufNumbers(range, (target, at) => { this.read(target, range.start + at); });
    if (state) made.restore(state);
    return made;
  }

  /** Numbers have no blocks: a state is kept where reading stops. */
  private keepNumbers(stream: Stream): void {
    if (!(stream instanceof ProtobufNumbers) || !this.due(stream.position)) return;
    const now = stream.state();
    if (now) this.keep({ output: now.output, resume: () => this.numbers(now) });
  }

  private due(output: number): boolean {
    return this.range.size > KEPT_WHOLE && output >= (this.kept[this.kept.length - 1]?.output ?? 0) + this.spacing;
  }

  private keep(state: Kept): void {
    this.kept.push(state);
    if (this.kept.length <= MOST_STATES) return;
    this.spacing *= 2;
    this.kept = this.kept.filter((_, i) => i % 2 === 1);
  }
}
