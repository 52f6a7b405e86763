/**
 * What passes between the program that starts a kernel and the kernel process: JSON-RPC messages in length-prefixed frames
 * (wire-stream.ts), requests on the kernel's stdin, answers on file descriptor 3. Nothing here knows job kinds by name.
 */
import { version } from '../../package.json';
import type { JobProgress } from './job';

/** Changes whenever a message changes its meaning. */
export const PROTOCOL = 1;
/** Both sides come out of one build; a difference means half an update. */
export const BUILD: string = version;

/** Longest request frame, in bytes. */
export const MAX_REQUEST_BYTES = 16 * 2 ** 20;
/** Longest answer frame: a scan of half a million tensors fits. */
export const MAX_ANSWER_BYTES = 512 * 2 ** 20;
/** Longest id of a message, in characters. */
export const MAX_ID_LENGTH = 200;
export const HEARTBEAT_MS = 2000;
/** Progress is sent at most this often. */
export const PROGRESS_INTERVAL_MS = 100;
/** File descriptor the kernel answers on; stdout stays free for stray prints. */
export const ANSWER_FD = 3;

export const METHODS = {
  initialize: 'initialize',
  run: 'job/run',
  progress: 'job/progress',
  ping: 'ping',
  shutdown: 'shutdown',
} as const;

/** JSON-RPC error codes of our own (outside the reserved range), beside the standard ones. */
export const ErrorCode = {
  /** The user's input: becomes a JobError. */
  job: 1,
  /** A worker thread died or ran out of memory; the kernel lives. */
  worker: 2,
  /** The job went over the memory limit; the kernel lives. */
  memory: 3,
  /** A bug in the job: an exception of no known kind. */
  internal: 4,
  /** Handshake refused. */
  version: 5,
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  cancelled: -32800,
} as const;

export interface InitializeParams {
  readonly protocol: number;
  readonly build: string;
  readonly threads: number;
  readonly memoryMb: number;
  /** The kernel ends by itself after this long without a job. */
  readonly idleMs: number;
}
export interface InitializeResult {
  readonly protocol: number;
  readonly build: string;
  readonly features: readonly string[];
  readonly threads: number;
  readonly pid: number;
}
export interface RunParams {
  /** Chosen by the caller, never used twice with one process; progress carries it. */
  readonly job: number;
  readonly kind: string;
  readonly params: unknown;
}
export interface ProgressParams {
  readonly job: number;
  readonly progress: JobProgress;
}
export interface PingParams {
  /** Grows while the running job does anything at all: tells slow from stuck. */
  readonly steps: number;
  /** Resident memory of the process, in bytes. */
  readonly rss: number;
}

type Check<T> = (value: unknown) => T | string;
type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Fields : null;
}
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isShortText = (value: unknown, longest: number): value is string => typeof value === 'string' && value.length <= longest;
const isAmount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** Every check returns the message as typed data, or the reason why it is not one. */
export const checkInitialize: Check<InitializeParams> = (value) => {
  const fields = fieldsOf(value);
  if (!fields) return 'initialize: parameters are not an object';
  const { protocol, build, threads, memoryMb, idleMs } = fields;
  if (!isCount(protocol)) return 'initialize: protocol is not a whole number';
  if (!isShortText(build, 200)) return 'initialize: build is not a short text';
  if (!isCount(threads) || threads < 1 || threads > 1024) return 'initialize: threads is not between 1 and 1024';
  if (!isCount(memoryMb) || memoryMb < 1) return 'initialize: memoryMb is not a whole number above 0';
  if (!isCount(idleMs) || idleMs < 1) return 'initialize: idleMs is not a whole number above 0';
  return { protocol, build, threads, memoryMb, idleMs };
};

export const checkInitialized: Check<InitializeResult> = (value) => {
  const fields = fieldsOf(value);
  if (!fields) return 'the handshake is not an object';
  const { protocol, build, features, threads, pid } = fields;
  if (!isCount(protocol)) return 'the handshake names no protocol version';
  if (!isShortText(build, 200)) return 'the handshake names no build';
  if (!Array.isArray(features) || features.length > 1000 || !features.every((feature) => isShortText(feature, 200))) return 'the handshake lists no features';
  if (!isCount(threads) || !isCount(pid)) return 'the handshake names no threads or pid';
  return { protocol, build, features: features as string[], threads, pid };
};

export const checkRun: Check<RunParams> = (value) => {
  const fields = fieldsOf(value);
  if (!fields) return 'job/run: parameters are not an object';
  const { job, kind, params } = fields;
  if (!isCount(job)) return 'job/run: job is not a whole number';
  if (!isShortText(kind, 100) || kind === '') return 'job/run: kind is not a short text';
  if (!fieldsOf(params)) return 'job/run: params is not an object';
  return { job, kind, params };
};

export const checkProgress: Check<ProgressParams> = (value) => {
  const fields = fieldsOf(value);
  const progress = fieldsOf(fields?.['progress']);
  if (!fields || !progress || !isCount(fields['job'])) return 'job/progress: no job or no progress';
  const { done, total, message, secondsLeft } = progress;
  if (!isAmount(done) || !isAmount(total) || !isShortText(message, 1000)) return 'job/progress: done, total or message is missing';
  if (secondsLeft !== undefined && !isAmount(secondsLeft)) return 'job/progress: secondsLeft is not a number of seconds';
  return { job: fields['job'], progress: { done, total, message, ...(secondsLeft === undefined ? {} : { secondsLeft }) } };
};

export const checkPing: Check<PingParams> = (value) => {
  const fields = fieldsOf(value);
  if (!fields || !isCount(fields['steps']) || !isCount(fields['rss'])) return 'ping: no steps or memory';
  return { steps: fields['steps'], rss: fields['rss'] };
};

/** JSON-RPC's own shape: what must hold before a frame is given to the connection. */
export function checkMessage(value: unknown): string | null {
  const fields = fieldsOf(value);
  if (!fields) return 'a message must be an object';
  const { id, method, error, params } = fields;
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') return 'id must be a text or a number';
  if (typeof id === 'string' && id.length > MAX_ID_LENGTH) return 'id is too long';
  if (method !== undefined) {
    if (!isShortText(method, 100) || method === '') return 'method must be a short text';
    if (params !== undefined && (typeof params !== 'object' || params === null)) return 'params must be an object';
    // vscode-jsonrpc reads this one's id without a look, and throws outside any handler.
    const cancelled = method === '$/cancelRequest' ? fieldsOf(params)?.['id'] : 0;
    return typeof cancelled === 'string' || typeof cancelled === 'number' ? null : 'a cancel needs the id of a request';
  }
  if (id === undefined) return 'a message needs a method or an id';
  if (!('result' in fields) && error === undefined) return 'an answer needs a result or an error';
  if (error !== undefined) {
    const problem = fieldsOf(error);
    if (!problem || typeof problem['code'] !== 'number' || typeof problem['message'] !== 'string') return 'an error needs a code and a message';
  }
  return null;
}
