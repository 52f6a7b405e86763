/**
 * Traces in the background: forward is followed once the typing pauses, so that the finding about where a trace ends comes
 * by itself. Following a large model takes longer, and holds up other answers; so it waits for a longer pause.
 */
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { AnalysisService } from '../analysis/service';

export const TRACE_DEBOUNCE_MS = 300;
/** The pause is at least so many times what the last trace of the document took. */
const PATIENCE = 4;

export interface TracingHost {
  /** The trace of a document is there, and has something to report. */
  onStopped(uri: string): void;
  log(message: string): void;
}

export class Tracing {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly took = new Map<string, number>();

  constructor(private readonly host: TracingHost) {}

  /** Asks for the trace of a document's model, when it is not known. */
  want(uri: string, analysis: ModelAnalysis, service: AnalysisService): void {
    this.cancel(uri);
    if (analysis.traced || analysis.graph || !analysis.root) return;
    this.timers.set(uri, setTimeout(() => {
      this.timers.delete(uri);
      void this.run(uri, analysis, service);
    }, Math.max(TRACE_DEBOUNCE_MS, PATIENCE * (this.took.get(uri) ?? 0))));
  }

  cancel(uri: string): void {
    clearTimeout(this.timers.get(uri));
    this.timers.delete(uri);
  }

  /** The document is closed. */
  forget(uri: string): void {
    this.cancel(uri);
    this.took.delete(uri);
  }

  dispose(): void {
    for (const uri of [...this.timers.keys()]) this.cancel(uri);
  }

  private async run(uri: string, analysis: ModelAnalysis, service: AnalysisService): Promise<void> {
    const began = performance.now();
    try {
      const { stopped } = await service.trace(analysis);
      this.took.set(uri, performance.now() - began);
      if (stopped && !stopped.noForward) this.host.onStopped(uri);
    } catch (error) {
      this.host.log(`tracing ${analysis.source}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    }
  }
}
