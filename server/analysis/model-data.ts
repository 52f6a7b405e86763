/** What a model is run on: from its bitlens.json, and from what the caller names, which goes first. */
import type { DatasetSpec, Preprocess, Task } from '../../kernels/data/data';
import type { ModelAnalysis } from './model-analysis';
import { UserError } from './user-error';

export interface ModelData {
  readonly task: Task | null;
  readonly calibration: DatasetSpec | null;
  readonly evaluation: DatasetSpec | null;
}
/** What a caller may name instead of what bitlens.json says. Absolute paths. */
export interface DataOverrides {
  readonly task?: Task;
  readonly inputs?: string;
  readonly labels?: string;
  readonly calibration?: string;
  readonly preprocess?: Preprocess;
  /** Of inputs and calibration that are named here. */
  readonly sequence?: number;
  readonly tokenizer?: string;
}

export function modelData(analysis: ModelAnalysis, given: DataOverrides = {}): ModelData {
  const { entry } = analysis;
  const preprocess = given.preprocess ?? entry?.data?.preprocess;
  const text = { ...(given.sequence === undefined ? {} : { sequence: given.sequence }), ...(given.tokenizer === undefined ? {} : { tokenizer: given.tokenizer }) };
  const spec = (source: Omit<DatasetSpec, 'preprocess'> | undefined): DatasetSpec | null => (source ? { ...source, ...(preprocess ? { preprocess } : {}) } : null);
  const evaluation = given.inputs === undefined ? entry?.data?.evaluation : { inputs: given.inputs, ...text, ...(given.labels === undefined ? {} : { labels: given.labels }) };
  const calibration = given.calibration === undefined ? entry?.data?.calibration : { inputs: given.calibration, ...text };
  return { task: given.task ?? entry?.task ?? null, calibration: spec(calibration), evaluation: spec(evaluation) };
}

/** The data that figures are about: evaluation data, or calibration data when asked for and there is no other. @throws UserError */
export function requireData(data: ModelData, allowCalibration: boolean): { task: Task; spec: DatasetSpec } {
  const spec = data.evaluation ?? (allowCalibration ? data.calibration : null);
  if (!spec) throw new UserError('there is no data to run the model on: name inputs in bitlens.json under data.evaluation, or with --data FILE [--labels FILE]');
  if (!data.task) throw new UserError('what the model\'s outputs are is not said: give "task" in bitlens.json or --task (classification, language-model, regression, features)');
  return { task: data.task, spec };
}

/** Of a trial nobody named numbers of samples for: enough for a figure, in a time that one waits for. */
export const trialData = (data: ModelData) => ({ data, samples: 2000, calibrationSamples: 1000 });
