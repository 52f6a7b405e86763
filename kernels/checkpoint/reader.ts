import type { ByteSource } from './byte-source';
import type { Checkpoint } from './checkpoint';
import type { Limits } from './limits';

/** What a reader is given besides the bytes. */
export interface ReaderContext {
  readonly limits: Limits;
  readonly signal?: AbortSignal;
  /** True while a part (a shard) of another checkpoint is opened: it is taken as it is, without looking for the others. */
  readonly isPart: boolean;
  /** Opens another file of the same checkpoint (a shard), after the caller has checked that its path may be followed. */
  openPart(path: string): Promise<Checkpoint>;
}

/**
 * One file format. `match` looks at the first bytes (and may read a little more), never at the name; `open` reads the
 * header only and throws CheckpointError for a file it refuses.
 */
export interface CheckpointReader {
  readonly name: string;
  match(head: Uint8Array, source: ByteSource): boolean;
  open(source: ByteSource, context: ReaderContext): Promise<Checkpoint>;
}

/** Lets other work run, and stops here when the caller has cancelled. Readers call it between pieces of work. */
export async function breathe(context: { readonly signal?: AbortSignal }): Promise<void> {
  context.signal?.throwIfAborted();
  await new Promise<void>((resolve) => { setImmediate(resolve); });
  context.signal?.throwIfAborted();
}

/** Reads a long range in pieces, pausing between them. */
export async function readLong(source: ByteSource, offset: number, length: number, context: ReaderContext): Promise<Buffer> {
  const piece = Math.min(2 ** 20, context.limits.readBytes);
  if (length <= piece) return source.read(offset, length);
  if (offset + length > source.size) return source.read(offset, length); // refuses, with the message for a range outside the file
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; done += piece) {
    if (done > 0) await breathe(context);
    source.readInto(bytes.subarray(done, Math.min(done + piece, length)), offset + done);
  }
  return bytes;
}
