/**
 * Measurements in the background: one per document, started a moment after the last edit, never in the way of a request.
 * A failure is remembered for the same checkpoint, so that a file that kills the kernel is not tried again on every key.
 */
import type { JobProgress } from '../../kernels/jobs/job';
import { identityOf } from '../analysis/checkpoint-cache';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { AnalysisService } from '../analysis/service';
import { weightLayers } from '../linking/link';
import { isCancellation } from './errors';

export const MEASURE_DEBOUNCE_MS = 200;

interface Running {
  readonly identity: string;
  readonly abort: AbortController;
  done: number;
  total: number;
}

export interface MeasuringHost {
  /** The measurements of a document are there, have failed, or got a percent further. */
  onSettled(uri: string): void;
  onProgress(uri: string, progress: JobProgress): void;
  onStart(uri: string, analysis: ModelAnalysis): void;
  /** `failure` is null when it went well or was cancelled. */
  onEnd(uri: string, failure: string | null): void;
  log(message: string): void;
}

export class Measuring {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly running = new Map<string, Running>();
  private readonly failures = new Map<string, { identity: string; message: string }>();

  constructor(private readonly host: MeasuringHost) {}

  /** The analysis with what is known about its measurement: pending, or failed for this very checkpoint. */
  annotate(uri: string, analysis: ModelAnalysis): ModelAnalysis {
    if (analysis.measurements.state !== 'none' || !analysis.checkpoint) return analysis;
    const identity = identityOf(analysis.checkpoint);
    const failure = this.failures.get(uri);
    if (failure?.identity === identity) return { ...analysis, measurements: { state: 'failed', message: failure.message } };
    const running = this.running.get(uri);
    if (running?.identity === identity) return { ...analysis, measurements: { state: 'pending', done: running.done, total: running.total } };
    return this.timers.has(uri) ? { ...analysis, measurements: { state: 'pending', done: 0, total: 0 } } : analysis;
  }

  /** Asks for a measurement when one is needed: the checkpoint is there, has weights, and was not tried in vain. */
  want(uri: string, analysis: ModelAnalysis, service: AnalysisService): void {
    const { checkpoint, link, measurements } = analysis;
    if (!checkpoint || !link || measurements.state === 'ready' || measurements.state === 'failed' || weightLayers(link).length === 0) {
      if (!checkpoint) this.cancel(uri);
      return;
    }
    const identity = identityOf(checkpoint);
    const running = this.running.get(uri);
    if (running?.identity === identity) return;
    running?.abort.abort();
    clearTimeout(this.timers.get(uri));
    this.timers.set(uri, setTimeout(() => {
      this.timers.delete(uri);
      void this.run(uri, identity, analysis, service);
    }, MEASURE_DEBOUNCE_MS));
  }

  cancel(uri: string): void {
    clearTimeout(this.timers.get(uri));
    this.timers.delete(uri);
    this.running.get(uri)?.abort.abort();
  }

  /** Forgets failures, after a restart of the kernel or a change of settings. */
  forgetFailures(): void {
    this.failures.clear();
  }

  dispose(): void {
    for (const uri of [...this.timers.keys(), ...this.running.keys()]) this.cancel(uri);
  }

  private async run(uri: string, identity: string, analysis: ModelAnalysis, service: AnalysisService): Promise<void> {
    const running: Running = { identity, abort: new AbortController(), done: 0, total: 0 };
    this.running.set(uri, running);
    this.host.onStart(uri, analysis);
    let message: string | null = null;
    try {
      const measured = await service.measure(analysis, undefined, {
        signal: running.abort.signal,
        onProgress: (progress) => {
          running.done = progress.done;
          running.total = progress.total;
          this.host.onProgress(uri, progress);
        },
      });
      if (measured.measurements.state === 'failed') message = measured.measurements.message;
    } catch (error) {
      if (!isCancellation(error) && !running.abort.signal.aborted) message = error instanceof Error ? error.message : String(error);
    }
    const own = this.running.get(uri) === running;
    if (own) this.running.delete(uri);
    this.host.onEnd(uri, message);
    if (message !== null) {
      this.failures.set(uri, { identity, message });
      this.host.log(`measuring ${analysis.source}: ${message}`);
    } else if (own && !running.abort.signal.aborted) this.failures.delete(uri);
    if (own && !running.abort.signal.aborted) this.host.onSettled(uri);
  }
}
