/** The kernel process: its priority, its connection, and every way it ends. It opens no socket and starts no program. */
import os from 'node:os';
import type { Message } from 'vscode-jsonrpc/node';
import { ErrorCode, MAX_REQUEST_BYTES } from '../jobs/wire';
import { FrameReader, type FrameProblem } from '../jobs/wire-stream';
import { AnswerWriter } from './answer-stream';
import { Session } from './session';

const PARENT_POLL_MS = 1000;
/** Exit code when the stream of requests cannot be read any further. */
export const EXIT_GARBAGE = 3;

export function serveKernel(options: { readonly workerFile: string }): void {
  lowerPriority();
  const exit = (code: number): void => process.exit(code);
  const writer = new AnswerWriter();
  const refuse = ({ reason, fatal, id }: FrameProblem): void => {
    const answer = { jsonrpc: '2.0', id: id ?? null, error: { code: ErrorCode.invalidRequest, message: reason } } as unknown as Message;
    void writer.write(answer).catch(() => undefined).then(() => { if (fatal) exit(EXIT_GARBAGE); });
  };
  const session = new Session(new FrameReader(process.stdin, MAX_REQUEST_BYTES, refuse), writer, { workerFile: options.workerFile, exit });
  const leave = (): void => session.leave();
  writer.onError(leave);
  session.listen();

  // The parent's death closes stdin; where something else holds the other end open, its changed pid shows it.
  process.stdin.on('end', leave).on('close', leave).on('error', leave);
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) leave(); }, PARENT_POLL_MS);
  process.on('SIGTERM', leave).on('SIGHUP', leave);
  // An interrupt in a terminal reaches the whole group; what it means for the job is for the program in charge to say.
  process.on('SIGINT', () => undefined);
}

/** The editor comes first. Not being allowed to lower the priority is no reason to fail. */
function lowerPriority(): void {
  try {
    os.setPriority(os.constants.priority.PRIORITY_BELOW_NORMAL);
  } catch { /* keeps the priority it has */ }
}
