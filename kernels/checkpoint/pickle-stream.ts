import type { ByteSource } from './byte-source';
import type { ImportList } from './pickle-imports';
import { PickleMachine } from './pickle-machine';
import { FETCH_AGAIN, type ProblemList } from './problems';
import { breathe, type ReaderContext } from './reader';

/** Steps between two pauses: a few milliseconds of work. */
const STEPS = 100_000;

/** Bytes that pickles are read from: the start of a file, of which only as much is read as the pickles need. */
export class PickleInput {
  private held: Buffer;

  /** @param most bytes that are ever read; a longer stream ends there. */
  private constructor(private readonly source: ByteSource | null, held: Buffer, private readonly most: number) {
    this.held = held;
  }

  static of(bytes: Buffer): PickleInput {
    return new PickleInput(null, bytes, bytes.length);
  }

  static from(source: ByteSource, limit: number): PickleInput {
    const most = Math.min(source.size, limit);
    return new PickleInput(source, source.read(0, Math.min(most, 65_536)), most);
  }

  get bytes(): Buffer { return this.held; }
  get complete(): boolean { return this.held.length >= this.most; }

  /** Reads more, by doubling up to 8 MiB at a time. */
  grow(step: number): void {
    if (!this.source || this.complete) return;
    const more = Math.min(this.most - this.held.length, Math.max(65_536, Math.min(this.held.length * 3, step)));
    this.held = Buffer.concat([this.held, this.source.read(this.held.length, more)]);
  }
}

/** Runs one pickle to its end or to where it breaks, pausing now and then. */
export async function runPickle(input: PickleInput, start: number, imports: ImportList, context: ReaderContext): Promise<PickleMachine> {
  const machine = new PickleMachine(start, imports, context.limits);
  for (;;) {
    const state = machine.run(input.bytes, input.complete, STEPS);
    if (state === 'stop' || state === 'broken') return machine;
    if (state === 'more') input.grow(context.limits.readBytes);
    await breathe(context);
  }
}

/**
 * Tells what a pickle says of itself that is not so, although it can be read.
 *
 * @param offsetOf file offset of a byte of the pickle
 */
export function reportLongFrame({ longFrame }: PickleMachine, problems: ProblemList, offsetOf: (offset: number) => number, where = ''): void {
  if (!longFrame) return;
  problems.add('questionable', `${where}${longFrame.message}: the pickle is cut or altered, and Python refuses to load it`, FETCH_AGAIN, { offset: offsetOf(longFrame.offset) });
}
