/** What a model is run on: from its bitlens.json, and from what the caller names, which goes first. */
import path from 'node:path';
import { isSynthetic, type DataSource, type DatasetSpec, type FileSpec, type Preprocess, type SyntheticSource, type Task } from '../../kernels/data/data';
import type { ModelAnalysis } from './model-analysis';
import { UserError } from './user-error';

export interface ModelData {
  readonly task: Task | null;
  readonly calibration: DatasetSpec | null;
  readonly evaluation: DatasetSpec | null;
}
/** What a caller may name instead of what bitlens.json says. Absolute paths, or data to make up. */
export interface DataOverrides {
  readonly task?: Task;
  readonly inputs?: string | SyntheticSource;
  readonly labels?: string;
  readonly calibration?: string | SyntheticSource;
  readonly preprocess?: Preprocess;
  /** Of inputs and calibration that are named here. */
  readonly sequence?: number;
  readonly tokenizer?: string;
}

export function modelData(analysis: ModelAnalysis, given: DataOverrides = {}): ModelData {
  const { entry } = analysis;
  const preprocess = given.preprocess ?? entry?.data?.preprocess;
  const length = given.sequence === undefined ? {} : { sequence: given.sequence };
  const text = { ...length, ...(given.tokenizer === undefined ? {} : { tokenizer: given.tokenizer }) };
  const named = (source: string | SyntheticSource, labels?: string): DataSource => (typeof source === 'string' ? { inputs: source, ...text, ...(labels === undefined ? {} : { labels }) } : { ...source, ...length });
  const spec = (source: DataSource | undefined): DatasetSpec | null => (source ? { ...source, ...(preprocess ? { preprocess } : {}) } : null);
  const evaluation = given.inputs === undefined ? entry?.data?.evaluation : named(given.inputs, given.labels);
  const calibration = given.calibration === undefined ? entry?.data?.calibration : named(given.calibration);
  return { task: given.task ?? entry?.task ?? null, ...apart(spec(calibration), spec(evaluation)) };
}

/** Data to make up of which one kind is named stands for the other too, and never the same samples for both. */
function apart(calibration: DatasetSpec | null, evaluation: DatasetSpec | null): Pick<ModelData, 'calibration' | 'evaluation'> {
  const judged = evaluation ?? (calibration && isSynthetic(calibration) ? calibration : null);
  const learned = calibration ?? (evaluation && isSynthetic(evaluation) ? evaluation : null);
  return { calibration: learned, evaluation: judged && isSynthetic(judged) ? { ...judged, seed: 1 } : judged };
}

/** The first of the data that lies in files: the shape of its samples is known without the model. */
export const dataInFiles = ({ calibration, evaluation }: ModelData): FileSpec | null => [evaluation, calibration].find((spec): spec is FileSpec => spec !== null && !isSynthetic(spec)) ?? null;

/** What a source is called. */
export const sourceName = (source: DataSource): string => (isSynthetic(source) ? 'synthetic data' : path.basename(source.inputs));

/** The data that figures are about: evaluation data, or calibration data when asked for and there is no other. @throws UserError */
export function requireData(data: ModelData, allowCalibration: boolean): { task: Task; spec: DatasetSpec } {
  const spec = data.evaluation ?? (allowCalibration ? data.calibration : null);
  if (!spec) throw new UserError('there is no data to run the model on: name inputs in bitlens.json under data.evaluation, or with --data FILE [--labels FILE]; without any, --data synthetic makes inputs up');
  if (!data.task) throw new UserError('what the model\'s outputs are is not said: give "task" in bitlens.json or --task (classification, language-model, regression, features)');
  return { task: data.task, spec };
}

/** Of a trial nobody named numbers of samples for: enough for a figure, in a time that one waits for. */
export const trialData = (data: ModelData) => ({ data, samples: 2000, calibrationSamples: 1000 });
