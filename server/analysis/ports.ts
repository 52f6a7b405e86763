/** What the analysis needs of the rooms around it, as narrow as it uses them. */
import type { JobKind, JobProgress, JobTypes } from '../../kernels/jobs/job';
import type { Checkpoint } from '../../kernels/checkpoint/checkpoint';
import type { ModuleTree, RootCandidate } from '../python/module-tree';
import type { Finding, RuleSettings } from '../rules/rule';
import type { TraceRequest, TraceResult } from '../trace/trace';
import type { ModelAnalysis } from './model-analysis';

export type Awaitable<T> = T | Promise<T>;

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
}

export interface KernelPort {
  run<K extends JobKind>(kind: K, params: JobTypes[K]['params'], options?: RunOptions): Promise<JobTypes[K]['result']>;
}

export interface PythonPort {
  rootCandidates(file: string): Awaitable<readonly RootCandidate[]>;
  buildTree(file: string, name: string, args?: Readonly<Record<string, unknown>>): Awaitable<ModuleTree | null>;
}
/** Python that can also follow a model's forward: what a whole analysis needs. */
export interface TracingPort extends PythonPort {
  trace(request: TraceRequest): Awaitable<TraceResult>;
  /** The same at once, when it was made before and no file of it has changed. */
  knownTrace(request: TraceRequest): TraceResult | undefined;
}

export type OpenCheckpoint = (path: string, options: { readonly signal?: AbortSignal }) => Promise<Checkpoint>;
export type RunRules = (analysis: ModelAnalysis, settings: RuleSettings) => Finding[];

export interface AnalysisHost {
  /** Folders the user opened; searches for bitlens.json stop there. */
  readonly roots: readonly string[] | (() => readonly string[]);
}

export const rootsOf = ({ roots }: AnalysisHost): readonly string[] => (typeof roots === 'function' ? roots() : roots);
