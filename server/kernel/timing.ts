/** Every waiting time of the supervisor in one place; tests shorten them. Milliseconds. */
import { HEARTBEAT_MS } from '../../kernels/jobs/wire';

export interface Timing {
  /** From start to a valid handshake. */
  readonly handshakeMs: number;
  /** From a cancel to SIGTERM, when the job does not stop. */
  readonly cancelMs: number;
  /** From SIGTERM (or a shutdown message) to the next harsher step. */
  readonly killMs: number;
  readonly heartbeatMs: number;
  /** Heartbeats missed in a row before the process counts as hung. */
  readonly missedBeats: number;
  /** The process ends by itself after this long without a job. */
  readonly idleMs: number;
  /** Delay before the next start, by crashes in a row. */
  readonly backOffMs: readonly number[];
  /** Share by which a delay varies either way, so that several windows do not restart in step. */
  readonly jitter: number;
  /** This many crashes within `crashWindowMs` are answered with a restart; one more and it stays down. */
  readonly maxCrashes: number;
  readonly crashWindowMs: number;
  /** Up this long, a process was stable: the next crash counts as the first in a row. */
  readonly stableMs: number;
}

export const defaultTiming: Timing = {
  handshakeMs: 10_000, cancelMs: 2000, killMs: 2000, heartbeatMs: HEARTBEAT_MS, missedBeats: 3, idleMs: 10 * 60_000,
  backOffMs: [0, 1000, 4000, 15_000, 60_000], jitter: 0.2, maxCrashes: 5, crashWindowMs: 3 * 60_000, stableMs: 10_000,
};

/** Time as the restart policy sees it; injectable, so that its tests need no waiting. */
export interface Clock {
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}
export const realClock: Clock = {
  now: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};
