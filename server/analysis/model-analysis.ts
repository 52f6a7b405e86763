/** What is known about one model at one moment: source, checkpoint, layers, measurements, recipe. Plain and immutable. */
import path from 'node:path';
import type { Checkpoint, CheckpointProblem } from '../../kernels/checkpoint/checkpoint';
import type { ActivationsResult, SensitivityResult, WeightScan } from '../../kernels/jobs/job';
import type { Graph } from '../../kernels/graph/graph';
import type { Recipe } from '../../kernels/recipe/recipe';
import type { LinkResult } from '../linking/layer';
import type { TraceResult } from '../trace/trace';
import type { ModelEntry } from './config';
import type { ModuleTree, RootCandidate, SourceSpan } from '../python/module-tree';

export interface RootChoice {
  readonly name: string;
  readonly span: SourceSpan;
  /** One sentence: why this one (`bitlens.json`, or the share of tensors explained), and what it was chosen over. */
  readonly reason: string;
  readonly alternatives: readonly RootCandidate[];
}

export type MeasurementState =
  | { readonly state: 'none'; readonly reason: string }
  | { readonly state: 'pending'; readonly done: number; readonly total: number }
  | { readonly state: 'ready'; readonly scans: ReadonlyMap<string, WeightScan>; readonly evidence: string }
  | { readonly state: 'failed'; readonly message: string };

/** Where the model is, for files that name it: its source, or the folder of a published model. */
export const placeOf = ({ source, entry }: Pick<ModelAnalysis, 'source' | 'entry'>): string => entry?.folder ?? source;
/** What a model that is written says of where it comes from. */
export const originOf = (analysis: Pick<ModelAnalysis, 'source' | 'entry' | 'root' | 'checkpoint'>): readonly (readonly [string, string])[] =>
  [['source', path.basename(placeOf(analysis))], ['class', analysis.root?.name ?? ''], ['checkpoint', path.basename(analysis.checkpoint?.path ?? '')]];
/** Where its recipe is kept when nobody says otherwise: beside the source, or in the folder of a published model. */
export function ownRecipe({ source, entry }: Pick<ModelAnalysis, 'source' | 'entry'>): string {
  const { dir, name } = path.parse(entry?.folder === undefined ? source : path.join(entry.folder, path.basename(entry.folder)));
  return path.join(dir, `${name}.recipe.json`);
}

export interface ModelAnalysis {
  /** Absolute path of the source file; of a published model without code, that of its family. */
  readonly source: string;
  readonly root: RootChoice | null;
  readonly tree: ModuleTree | null;
  readonly checkpointPath: string | null;
  /** Null when there is none or it was refused (`checkpointError`). */
  readonly checkpoint: Checkpoint | null;
  readonly checkpointError: CheckpointProblem | null;
  readonly link: LinkResult | null;
  readonly measurements: MeasurementState;
  readonly recipe: Recipe | null;
  readonly recipePath: string | null;
  /** One sentence: why this checkpoint (named by whom, or found beside the source), or why there is none. */
  readonly checkpointReason?: string;
  /** Constructor arguments the root was built with, and where they come from; absent when it was built as it stands. */
  readonly rootArguments?: { readonly values: Readonly<Record<string, unknown>>; readonly from: string };
  /** Arguments taken for their defaults (`n_head = 12`) though the checkpoint is of other sizes; absent when there are none. */
  readonly untoldArguments?: readonly string[];
  /** What running the model with layers quantized has shown, the newest last; absent until it was run. */
  readonly sensitivities?: readonly SensitivityResult[];
  /** What values of the model look like on data; absent or null until they were looked at. */
  readonly activations?: ActivationsResult | null;
  /** The model as operators, where its source is an ONNX file, which says it itself. */
  readonly graph?: Graph;
  /** Forward as a graph, when it was traced. */
  readonly traced?: TraceResult;
  /** The bitlens.json that names the model. */
  readonly configPath?: string;
  /** What it says of the model. */
  readonly entry?: ModelEntry;
  /** What the user should know besides findings: a broken bitlens.json or recipe, tensors of other state dicts. */
  readonly notes?: readonly string[];
}
