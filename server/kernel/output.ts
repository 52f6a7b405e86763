/** What the kernel prints, kept small: the last of it for error messages, and lines for the log at a bounded rate. */

/** The last `limit` bytes written. */
export class Tail {
  private chunks: Buffer[] = [];
  private size = 0;

  constructor(private readonly limit: number) {}

  push(chunk: Buffer): void {
    // A copy: a slice would keep the stream's whole pool buffer alive.
    const kept = Buffer.from(chunk.length > this.limit ? chunk.subarray(chunk.length - this.limit) : chunk);
    this.chunks.push(kept);
    this.size += kept.length;
    while (this.size > this.limit) {
      const first = this.chunks[0]!;
      const over = this.size - this.limit;
      if (first.length <= over) this.chunks.shift();
      else this.chunks[0] = first.subarray(over);
      this.size -= Math.min(first.length, over);
    }
    // Many small writes would otherwise leave as many small buffers.
    if (this.chunks.length > 256) this.chunks = [Buffer.concat(this.chunks)];
  }

  toString(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

const LINES_PER_SECOND = 100;
const LONGEST_LINE = 2000;

/** Cuts a stream into lines for the log: at most 100 a second, saying how many were left out. */
export class LineLog {
  private partial = '';
  private second = 0;
  private lines = 0;
  private dropped = 0;

  constructor(private readonly log: (line: string) => void, private readonly now: () => number = Date.now) {}

  push(chunk: Buffer): void {
    const pieces = (this.partial + chunk.toString('utf8')).split(/\r?\n/);
    this.partial = pieces.pop()!.slice(0, LONGEST_LINE);
    for (const piece of pieces) if (piece !== '') this.line(piece.slice(0, LONGEST_LINE));
  }

  /** The stream ended: what has no line end is a line too. */
  end(): void {
    if (this.partial !== '') this.line(this.partial);
    this.partial = '';
    this.reportDropped();
  }

  private line(text: string): void {
    const second = Math.floor(this.now() / 1000);
    if (second !== this.second) {
      this.reportDropped();
      this.second = second;
      this.lines = 0;
    }
    if (this.lines++ < LINES_PER_SECOND) this.log(text);
    else this.dropped++;
  }

  private reportDropped(): void {
    if (this.dropped > 0) this.log(`(${this.dropped} more lines were left out)`);
    this.dropped = 0;
  }
}
