/** One kernel process from start to end: its pipes, handshake, heartbeat, and the ladder of ways to end it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { CancellationTokenSource, createMessageConnection, NullLogger, ResponseError, type MessageConnection } from 'vscode-jsonrpc/node';
import { JobCancelled, JobError, type JobProgress } from '../../kernels/jobs/job';
import { ANSWER_FD, BUILD, checkInitialized, checkPing, checkProgress, ErrorCode, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, METHODS, PROGRESS_INTERVAL_MS, PROTOCOL, type InitializeParams, type InitializeResult, type RunParams } from '../../kernels/jobs/wire';
import { encodeFrame, FrameReader, FrameWriter } from '../../kernels/jobs/wire-stream';
import { KernelError } from './errors';
import { needsMemory, type Exit } from './exit-reason';
import { kernelArguments, kernelEnvironment } from './launch';
import { LineLog, Tail } from './output';
import type { Timing } from './timing';

const STDERR_KEPT = 64 * 1024;

/** The process died (or had to be ended) while something waited for it. */
export class ProcessEnded extends Error {
  constructor(readonly exit: Exit) {
    super('the kernel process ended');
    this.name = 'ProcessEnded';
  }
}
/** It speaks another version: starting it again would not help. */
export class VersionMismatch extends Error {}

export interface ProcessOptions {
  readonly entry: string;
  readonly threads: number;
  readonly memoryMb: number;
  readonly executionProviders?: readonly string[];
  readonly timing: Timing;
  readonly log: (line: string) => void;
}

export class KernelProcess {
  private readonly child: ChildProcess;
  private readonly connection: MessageConnection;
  private readonly stderr = new Tail(STDERR_KEPT);
  private readonly startedAt = performance.now();
  private readonly timers = new Set<NodeJS.Timeout>();
  private killedFor: Exit['killedFor'] = null;
  private nextJob = 1;
  private missed = 0;
  private onProgress: { readonly job: number; readonly report: (progress: JobProgress) => void } | null = null;
  /** Set once the process is gone. */
  exit: Exit | null = null;
  readonly exited: Promise<Exit>;

  constructor(private readonly options: ProcessOptions) {
    const { entry, memoryMb } = options;
    const child = this.child = spawn(process.execPath, kernelArguments(entry, memoryMb), {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: kernelEnvironment(process.env, options.executionProviders),
      // A group of its own, so that ending it ends whatever it started. It goes with us all the same: it watches its stdin.
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.exited = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null, spawnError: string | null): void => {
        if (this.exit) return;
        this.exit = { code, signal, stderr: this.stderr.toString(), killedFor: this.killedFor, spawnError, upMs: performance.now() - this.startedAt };
        for (const timer of this.timers) clearTimeout(timer);
        this.connection.dispose();
        resolve(this.exit);
      };
      child.on('error', (error) => { if (child.pid === undefined) ended(null, null, error.message); });
      // Not 'close': a grandchild that kept a pipe open would hold that back for ever. The last of stderr gets a moment.
      child.on('exit', (code, signal) => { setTimeout(() => ended(code, signal, null), 20); });
    });
    this.collectOutput();
    const answers = child.stdio[ANSWER_FD] as Readable;
    const requests = child.stdin as Writable;
    answers.on('error', () => undefined);
    const reader = new FrameReader(answers, MAX_ANSWER_BYTES, ({ reason }) => {
      options.log(`kernel: ${reason}`);
      this.end('garbage');
    });
    this.connection = createMessageConnection(reader, new FrameWriter(requests, MAX_REQUEST_BYTES), NullLogger);
    this.connection.onError(() => undefined);
    this.connection.onNotification(METHODS.ping, (params: unknown) => { if (typeof checkPing(params) !== 'string') this.missed = 0; });
    this.connection.onNotification(METHODS.progress, (params: unknown) => this.progress(params));
    this.connection.listen();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Whether the program waits for this process before it may end by itself. */
  holdProgram(hold: boolean): void {
    for (const handle of [this.child, ...this.child.stdio] as { ref?(): void; unref?(): void }[]) {
      if (hold) handle?.ref?.();
      else handle?.unref?.();
    }
  }

  /** @throws ProcessEnded when it died or was too slow, VersionMismatch when it is of another build. */
  async handshake(): Promise<InitializeResult> {
    const { threads, memoryMb, timing } = this.options;
    const late = this.after(timing.handshakeMs, () => this.end('handshake'));
    try {
      const params: InitializeParams = { protocol: PROTOCOL, build: BUILD, threads, memoryMb, idleMs: timing.idleMs };
      const result = checkInitialized(await this.request(METHODS.initialize, params));
      if (typeof result === 'string') throw new VersionMismatch(result);
      if (result.protocol !== PROTOCOL || result.build !== BUILD) {
        throw new VersionMismatch(`the kernel is build ${result.build} with protocol ${result.protocol}, this program is build ${BUILD} with protocol ${PROTOCOL}`);
      }
      this.watchHeartbeat();
      return result;
    } catch (error) {
      if (error instanceof ResponseError) throw new VersionMismatch(error.message);
      throw error;
    } finally {
      this.cancelTimer(late);
    }
  }

  /**
   * Runs one job. Aborting asks the kernel to stop, then ends the process.
   * @throws JobError, JobCancelled, KernelError (the process lives), ProcessEnded (it does not).
   */
  async run(kind: string, params: unknown, signal: AbortSignal, report: (progress: JobProgress) => void): Promise<unknown> {
    const job = this.nextJob++;
    const request: RunParams = { job, kind, params };
    try {
      encodeFrame({ jsonrpc: '2.0', id: 1, method: METHODS.run, params: request }, MAX_REQUEST_BYTES - 64);
    } catch (error) {
      throw new JobError(`this request is too large for the kernel: ${error instanceof Error ? error.message : String(error)}; work on fewer layers at a time`);
    }
    const cancel = new CancellationTokenSource();
    let ladder: NodeJS.Timeout | undefined;
    const abort = (): void => {
      cancel.cancel();
      ladder = this.after(this.options.timing.cancelMs, () => this.end('cancel'));
    };
    this.onProgress = { job, report: throttled(report) };
    try {
      if (signal.aborted) throw new JobCancelled();
      signal.addEventListener('abort', abort, { once: true });
      return await this.request(METHODS.run, request, cancel);
    } catch (error) {
      throw this.jobFailure(error);
    } finally {
      this.onProgress = null;
      signal.removeEventListener('abort', abort);
      if (ladder) this.cancelTimer(ladder);
      cancel.dispose();
    }
  }

  private jobFailure(error: unknown): unknown {
    if (error instanceof ProcessEnded) return error.exit.killedFor === 'cancel' ? new JobCancelled() : error;
    if (!(error instanceof ResponseError)) return error;
    switch (error.code) {
      case ErrorCode.job: return new JobError(error.message);
      case ErrorCode.cancelled: return new JobCancelled();
      case ErrorCode.memory: return new KernelError(`${needsMemory(this.options.memoryMb)}.`, 'memory');
      case ErrorCode.worker: return new KernelError(`The kernel failed in this job (${error.message}). Other jobs go on; please report this if it happens again.`, 'crash');
      default: {
        const stack = (error.data as { stack?: unknown } | undefined)?.stack;
        if (typeof stack === 'string') this.options.log(stack);
        return new KernelError(`The kernel met an error of its own: ${error.message}. Please report it; the log has the details.`, 'internal');
      }
    }
  }

  /** An answer or the end of the process, whichever comes first. */
  private async request(method: string, params: unknown, cancel?: CancellationTokenSource): Promise<unknown> {
    if (this.exit) throw new ProcessEnded(this.exit);
    const ended = this.exited.then((exit) => { throw new ProcessEnded(exit); });
    // Asynchronous from the start: a connection that has closed throws at once, before the exit is known.
    const ask = async (): Promise<unknown> => (cancel ? this.connection.sendRequest(method, params, cancel.token) : this.connection.sendRequest(method, params));
    const answer = ask();
    // What fails because the process is gone is told by its exit, which says why.
    const settled = answer.catch((error: unknown) => {
      if (error instanceof ResponseError && !isConnectionError(error)) throw error;
      return ended;
    });
    return Promise.race([settled, ended]);
  }

  private progress(value: unknown): void {
    const params = checkProgress(value);
    if (typeof params !== 'string' && params.job === this.onProgress?.job) this.onProgress.report(params.progress);
  }

  /** Counts our own ticks, not time: after the machine slept, one late tick is not a hang. */
  private watchHeartbeat(): void {
    const { heartbeatMs, missedBeats } = this.options.timing;
    const tick = (): void => {
      if (++this.missed > missedBeats) this.end('hung');
      else this.after(heartbeatMs, tick).unref();
    };
    this.after(heartbeatMs, tick).unref();
  }

  /** Asks it to end, then makes it. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.exit) return;
    this.killedFor ??= 'stop';
    try {
      this.connection.sendNotification(METHODS.shutdown).catch(() => undefined);
    } catch { /* the connection has closed already: the end of stdin says the same */ }
    this.child.stdin?.end();
    this.after(this.options.timing.killMs, () => this.end('stop'));
    await this.exited;
  }

  /** SIGTERM, then SIGKILL of its whole group. */
  private end(reason: NonNullable<Exit['killedFor']>): void {
    if (this.exit) return;
    this.killedFor ??= reason;
    this.child.kill('SIGTERM');
    this.after(this.options.timing.killMs, () => this.killTree());
  }

  private killTree(): void {
    const { pid } = this.child;
    if (pid === undefined || this.exit) return;
    if (process.platform === 'win32') {
      execFile(path.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', 'taskkill.exe'), ['/PID', String(pid), '/T', '/F'], { windowsHide: true }, () => undefined);
      return;
    }
    try {
      process.kill(-pid, 'SIGKILL');
    } catch { /* gone already */ }
    this.child.kill('SIGKILL');
  }

  private collectOutput(): void {
    const out = new LineLog((line) => this.options.log(`kernel: ${line}`));
    const err = new LineLog((line) => this.options.log(`kernel: ${line}`));
    this.child.stdout?.on('data', (chunk: Buffer) => out.push(chunk)).on('end', () => out.end()).on('error', () => undefined);
    this.child.stderr?.on('data', (chunk: Buffer) => { this.stderr.push(chunk); err.push(chunk); }).on('end', () => err.end()).on('error', () => undefined);
  }

  private after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => { this.timers.delete(timer); run(); }, ms);
    this.timers.add(timer);
    return timer;
  }

  private cancelTimer(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.timers.delete(timer);
  }
}

/** vscode-jsonrpc's own codes, for failed writes and closed connections. */
function isConnectionError(error: ResponseError<unknown>): boolean {
  return error.code >= -32099 && error.code <= -32096;
}

/** At most ten a second and never backwards, whatever the kernel sends; the end always passes. */
function throttled(report: (progress: JobProgress) => void): (progress: JobProgress) => void {
  let last = -Infinity;
  let share = 0;
  return (progress) => {
    const now = performance.now();
    const next = progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
    const isEnd = next === 1 && share < 1;
    if (next < share || (!isEnd && now - last < PROGRESS_INTERVAL_MS * 0.9)) return;
    last = now;
    share = next;
    report(progress);
  };
}
