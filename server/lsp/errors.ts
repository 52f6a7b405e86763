/** Anything thrown, as the answer to a request: readable for the user's mistakes, logged in full for ours. */
import { ErrorCodes, LSPErrorCodes, ResponseError } from 'vscode-languageserver/node';
import { CheckpointError } from '../../kernels/checkpoint/checkpoint';
import { FormatIdError } from '../../kernels/formats/format';
import { JobCancelled, JobError } from '../../kernels/jobs/job';
import { messageOf, UserError } from '../analysis/user-error';

/** A request whose parameters are not what the protocol says. */
export class BadRequest extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadRequest';
  }
}

export function isCancellation(error: unknown): boolean {
  return error instanceof JobCancelled || (error instanceof Error && error.name === 'AbortError');
}

export function responseError(error: unknown, cancelled: boolean, log: (message: string) => void): ResponseError<void> {
  if (error instanceof ResponseError) return error as ResponseError<void>;
  if (cancelled || isCancellation(error)) return new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
  if (error instanceof BadRequest) return new ResponseError(ErrorCodes.InvalidParams, error.message);
  if (error instanceof UserError || error instanceof JobError || error instanceof FormatIdError || error instanceof CheckpointError) {
    return new ResponseError(LSPErrorCodes.RequestFailed, error.message);
  }
  log(error instanceof Error ? error.stack ?? error.message : String(error));
  return new ResponseError(LSPErrorCodes.RequestFailed, messageOf(error));
}
