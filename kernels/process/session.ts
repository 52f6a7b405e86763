/** The kernel's side of the protocol: what each message does. */
import type { CancellationToken} from 'vscode-jsonrpc/node';
import { createMessageConnection, NullLogger, ResponseError, type MessageConnection, type MessageReader, type MessageWriter } from 'vscode-jsonrpc/node';
import { JobCancelled, JobError } from '../jobs/job';
import { BUILD, checkInitialize, checkRun, ErrorCode, HEARTBEAT_MS, METHODS, PROTOCOL, type InitializeParams, type InitializeResult, type PingParams, type ProgressParams } from '../jobs/wire';
import { JobHost } from './job-host';
import { MemoryExceeded, WorkerCrash } from './thread-messages';

/** What this build can do beyond the protocol's base; older programs ignore names they do not know. */
const FEATURES: readonly string[] = ['cancel', 'progress', 'memory-limit'];

export interface SessionOptions {
  readonly workerFile: string;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

export class Session {
  private host: JobHost | null = null;
  private idleTimer: NodeJS.Timeout | undefined;
  private idleMs = 0;
  private leaving = false;
  private readonly connection: MessageConnection;

  constructor(reader: MessageReader, writer: MessageWriter, private readonly options: SessionOptions) {
    const connection = this.connection = createMessageConnection(reader, writer, NullLogger);
    connection.onRequest(METHODS.initialize, (params: unknown) => this.initialize(params));
    connection.onRequest(METHODS.run, (params: unknown, token: CancellationToken) => this.run(params, token));
    connection.onNotification(METHODS.shutdown, () => this.leave());
    connection.onError(() => undefined);
  }

  listen(): void {
    this.connection.listen();
  }

  /** Ends the process once the running job has stopped and cleaned up; {@link JobHost.cancel} bounds how long that takes. */
  leave(): void {
    if (this.leaving) return;
    this.leaving = true;
    if (this.host) this.host.stop(() => this.options.exit(0));
    else this.options.exit(0);
  }

  private initialize(value: unknown): InitializeResult {
    const params = checkInitialize(value);
    if (typeof params === 'string') throw new ResponseError(ErrorCode.invalidParams, params);
    this.checkVersion(params);
    if (this.host) throw new ResponseError(ErrorCode.invalidRequest, 'initialize was sent twice');
    this.host = new JobHost(this.options.workerFile, params.threads, params.memoryMb);
    this.idleMs = params.idleMs;
    setInterval(() => this.ping(), HEARTBEAT_MS);
    this.restartIdleTimer();
    return { protocol: PROTOCOL, build: BUILD, features: FEATURES, threads: params.threads, pid: process.pid };
  }

  private checkVersion({ protocol, build }: InitializeParams): void {
    if (protocol === PROTOCOL && build === BUILD) return;
    throw new ResponseError(ErrorCode.version,
      `this kernel is build ${BUILD} with protocol ${PROTOCOL}, and was asked for build ${build} with protocol ${protocol}`);
  }

  private async run(value: unknown, token: CancellationToken): Promise<unknown> {
    const request = checkRun(value);
    if (typeof request === 'string') throw new ResponseError(ErrorCode.invalidParams, request);
    const { host } = this;
    if (!host) throw new ResponseError(ErrorCode.invalidRequest, 'job/run before initialize');
    if (host.busy) throw new ResponseError(ErrorCode.invalidRequest, 'a job is running; this kernel runs one at a time');
    if (token.isCancellationRequested) throw new ResponseError(ErrorCode.cancelled, 'cancelled');
    const { job, kind, params } = request;
    clearTimeout(this.idleTimer);
    const cancelled = token.onCancellationRequested(() => host.cancel(job));
    try {
      const result = await host.run(job, kind, params, (progress) => this.notify(METHODS.progress, { job, progress } satisfies ProgressParams));
      return result ?? null;
    } catch (error) {
      throw asResponse(error);
    } finally {
      cancelled.dispose();
      this.restartIdleTimer();
    }
  }

  private ping(): void {
    this.notify(METHODS.ping, { steps: this.host?.steps ?? 0, rss: process.memoryUsage.rss() } satisfies PingParams);
  }

  private notify(method: string, params: unknown): void {
    // A write fails only when the reader is gone, and a closed connection throws at once. Then the process is about to end,
    // but not before the job has taken its unfinished files along: it must not die of this.
    try {
      this.connection.sendNotification(method, params).catch(() => undefined);
    } catch { /* see above */ }
  }

  private restartIdleTimer(): void {
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => this.options.exit(0), this.idleMs);
  }
}

function asResponse(error: unknown): ResponseError<{ stack?: string }> {
  if (error instanceof JobError) return new ResponseError(ErrorCode.job, error.message);
  if (error instanceof JobCancelled) return new ResponseError(ErrorCode.cancelled, 'cancelled');
  if (error instanceof WorkerCrash) return new ResponseError(ErrorCode.worker, error.message);
  if (error instanceof MemoryExceeded) return new ResponseError(ErrorCode.memory, error.message);
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return new ResponseError(ErrorCode.internal, `${name}: ${message}`, stack ? { stack } : {});
}
