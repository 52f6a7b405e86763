/**
 * Frames: magic, length (both 4 bytes, little endian), then one message as V8's structured clone, so that typed arrays travel as they are.
 *
 * Not Node's own IPC channel: a malformed frame there throws outside any handler and takes the receiver with it, its length is
 * not bounded, and it has no back-pressure. Here a length is checked before a byte is kept, and a bad message is an event.
 */
import { deserialize, serialize } from 'node:v8';
import type { Readable, Writable } from 'node:stream';
import { AbstractMessageReader, AbstractMessageWriter, Disposable, type DataCallback, type Message, type MessageReader, type MessageWriter } from 'vscode-jsonrpc/node';
import { checkMessage, MAX_ID_LENGTH } from './wire';

const MAGIC = 0x314b4c42; // "BLK1"
const HEADER = 8;

/** Why a frame was not taken. `fatal`: the stream has lost its place and nothing after it can be read. */
export interface FrameProblem {
  readonly reason: string;
  readonly fatal: boolean;
  /** Of the message, where it had one. */
  readonly id?: string | number;
}

/** Takes bytes as they come and gives whole messages; keeps at most one frame. */
export class FrameDecoder {
  private readonly header = Buffer.alloc(HEADER);
  private headerFilled = 0;
  private body: Buffer[] = [];
  private bodyFilled = 0;
  private length = 0;
  private skipping = false;
  private lost = false;

  constructor(
    private readonly maxBytes: number,
    private readonly onMessage: (message: Message) => void,
    private readonly onProblem: (problem: FrameProblem) => void,
  ) {}

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.lost) {
      if (this.headerFilled < HEADER) {
        const taken = Math.min(HEADER - this.headerFilled, chunk.length - at);
        chunk.copy(this.header, this.headerFilled, at, at + taken);
        this.headerFilled += taken;
        at += taken;
        if (this.headerFilled === HEADER) this.begin();
      } else {
        const taken = Math.min(this.length - this.bodyFilled, chunk.length - at);
        if (!this.skipping) this.body.push(chunk.subarray(at, at + taken));
        this.bodyFilled += taken;
        at += taken;
      }
      if (this.headerFilled === HEADER && this.bodyFilled === this.length && !this.lost) this.finish();
    }
  }

  private begin(): void {
    if (this.header.readUInt32LE(0) !== MAGIC) {
      this.lost = true;
      this.onProblem({ reason: 'these bytes are not a message of the kernel protocol', fatal: true });
      return;
    }
    this.length = this.header.readUInt32LE(4);
    if (this.length > this.maxBytes) {
      this.skipping = true;
      this.onProblem({ reason: `a message of ${this.length} bytes is longer than the ${this.maxBytes} allowed`, fatal: false });
    }
  }

  private finish(): void {
    const { body, skipping } = this;
    this.body = [];
    this.headerFilled = 0;
    this.bodyFilled = 0;
    this.length = 0;
    this.skipping = false;
    if (skipping) return;
    let message: unknown;
    try {
      message = deserialize(body.length === 1 ? body[0]! : Buffer.concat(body));
    } catch (error) {
      this.onProblem({ reason: `a message cannot be decoded: ${error instanceof Error ? error.message : String(error)}`, fatal: false });
      return;
    }
    const problem = checkMessage(message);
    if (problem !== null) {
      this.refuse(message, problem);
      return;
    }
    try {
      this.onMessage(message as Message);
    } catch (error) {
      this.refuse(message, `a message cannot be handled: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private refuse(message: unknown, reason: string): void {
    const id = typeof message === 'object' && message !== null ? (message as { id?: unknown }).id : undefined;
    const usable = typeof id === 'number' || (typeof id === 'string' && id.length <= MAX_ID_LENGTH);
    this.onProblem({ reason, fatal: false, ...(usable ? { id } : {}) });
  }
}

/** One frame. @throws RangeError when the message is longer than `maxBytes`. */
export function encodeFrame(message: unknown, maxBytes: number): Buffer {
  const body = serialize(message);
  if (body.length > maxBytes) throw new RangeError(`the message is ${(body.length / 2 ** 20).toFixed(1)} MiB long, ${(maxBytes / 2 ** 20).toFixed(0)} MiB are allowed`);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** Reads frames from a stream for a vscode-jsonrpc connection. */
export class FrameReader extends AbstractMessageReader implements MessageReader {
  constructor(private readonly stream: Readable, private readonly maxBytes: number, private readonly onProblem: (problem: FrameProblem) => void) {
    super();
  }

  listen(callback: DataCallback): Disposable {
    const decoder = new FrameDecoder(this.maxBytes, callback, this.onProblem);
    const onData = (chunk: Buffer): void => decoder.push(chunk);
    const onError = (error: Error): void => this.fireError(error);
    const onClose = (): void => this.fireClose();
    this.stream.on('data', onData).on('error', onError).on('close', onClose);
    return Disposable.create(() => this.stream.off('data', onData).off('close', onClose));
  }
}

/** Writes frames to a stream; a write resolves when the stream has taken it. */
export class FrameWriter extends AbstractMessageWriter implements MessageWriter {
  constructor(private readonly stream: Writable, private readonly maxBytes: number) {
    super();
    this.stream.on('error', (error: Error) => this.fireError(error));
    this.stream.on('close', () => this.fireClose());
  }

  write(message: Message): Promise<void> {
    return new Promise((resolve, reject) => {
      try {
        const frame = encodeFrame(message, this.maxBytes);
        this.stream.write(frame, (error) => { if (error) reject(error); else resolve(); });
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  end(): void {
    this.stream.end();
  }
}
