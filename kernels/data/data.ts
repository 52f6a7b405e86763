/** What a model is calibrated and judged on. Plain data: it crosses process borders. */
import type { NamedArray } from '../run/run-model';

/** What the outputs are; see bitlens.schema.json. */
export type Task = 'classification' | 'language-model' | 'regression' | 'features';

/** How stored inputs become the model's inputs: x * scale, then (x - mean) / std per channel. */
export interface Preprocess {
  readonly scale?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Order of the dimensions in the file; the model is given NCHW. */
  readonly layout?: 'NCHW' | 'NHWC';
}

export interface DatasetSpec {
  /** Absolute path of the inputs. */
  readonly inputs: string;
  readonly labels?: string;
  readonly preprocess?: Preprocess;
}

/** Opened samples. The first dimension of every array is the sample. */
export interface Dataset {
  /** What it is, for people: file names and the number of samples. */
  readonly title: string;
  readonly count: number;
  readonly hasLabels: boolean;
  /** Shape of one sample as the model gets it; `whole` when the values are whole numbers (token ids). */
  readonly sample: { readonly shape: readonly number[]; readonly whole: boolean };
  /** Samples by index, preprocessed: F32, or I64 for whole numbers. */
  inputs(indices: readonly number[]): NamedArray;
  /** @throws Error where there are none. */
  labels(indices: readonly number[]): NamedArray;
  close(): void;
}
