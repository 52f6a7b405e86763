/** Writes to the answer descriptor. A result too long for a frame becomes an error the caller can read. */
import { createWriteStream } from 'node:fs';
import { Message, type MessageWriter } from 'vscode-jsonrpc/node';
import { FrameWriter } from '../jobs/wire-stream';
import { ANSWER_FD, ErrorCode, MAX_ANSWER_BYTES } from '../jobs/wire';

export class AnswerWriter extends FrameWriter implements MessageWriter {
  constructor() {
    // A file stream, not a socket: the descriptor is blocking on this side, and libuv's thread pool gives back-pressure for free.
    super(createWriteStream('', { fd: ANSWER_FD, autoClose: false }), MAX_ANSWER_BYTES);
  }

  override async write(message: Message): Promise<void> {
    try {
      await super.write(message);
    } catch (error) {
      if (!Message.isResponse(message) || isGone(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      await super.write({ jsonrpc: '2.0', id: message.id, error: { code: ErrorCode.internal, message: `the result cannot be sent: ${reason}` } } as Message);
    }
  }
}

function isGone(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || code === 'EBADF';
}
