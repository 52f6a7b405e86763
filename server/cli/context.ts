/** What a verb is given: its arguments, where to print, when to stop, and the analysis. */
import type { JobProgress } from '../../kernels/jobs/job';
import type { AnalysisService } from '../analysis/service';
import type { Settings } from '../protocol';
import type { Arguments, Command } from './arguments';

export interface VerbContext {
  readonly args: Arguments;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Writes to stdout: the answer. */
  print(text: string): void;
  /** Writes the one JSON document to stdout. A list at its top level may be any iterable. */
  printJson(value: object): void;
  /** Writes a line to stderr, unless --quiet. */
  note(text: string): void;
  /** Progress of kernel jobs, on stderr. */
  readonly onProgress: (progress: JobProgress) => void;
  /** The analysis; the kernel process starts when a number is first asked for. */
  service(settings?: Partial<Settings>): AnalysisService;
}

export interface Verb {
  readonly command: Command;
  /** Resolves to the exit code. */
  run(context: VerbContext): Promise<0 | 1>;
}
