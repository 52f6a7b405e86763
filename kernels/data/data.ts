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
  /** Images: length that the shorter side is resized to (8/7 of the larger side of the crop when absent), and height and width of the center crop. */
  readonly resize?: number;
  readonly crop?: readonly [number, number];
}

export interface DatasetSpec {
  /** Absolute path of the inputs: an array, a folder of images, a stream of tokens (.bin), or a text (.txt, .jsonl). */
  readonly inputs: string;
  readonly labels?: string;
  /** Tokens of one sample, for streams and texts. */
  readonly sequence?: number;
  /** tokenizer.json of a text. */
  readonly tokenizer?: string;
  readonly preprocess?: Preprocess;
}

/** Opened samples. The first dimension of every array is the sample. */
export interface Dataset {
  /** What it is, for people: the file's or folder's name. */
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

/** Samples as they are stored, before preprocessing. */
export interface SampleSource {
  /** For messages: the file as it was named. */
  readonly name: string;
  readonly count: number;
  /** Shape of one sample. */
  readonly shape: readonly number[];
  /** Whole numbers are stored. */
  readonly whole: boolean;
  /** Whole numbers of a type that token ids come in: they stay what they are. */
  readonly ids: boolean;
  /** Classes that the source itself knows (folders of images); null for none. */
  readonly classes: readonly number[] | null;
  /** Preprocessing that follows from what the source is, where none is given. */
  readonly usual?: Preprocess;
  /** One sample into `out`. @throws Error naming the file that cannot be read */
  sample(index: number, out: Float64Array): void;
  close(): void;
}
