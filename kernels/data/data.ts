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

/** Samples in files, as they are named. */
export interface FileSource {
  /** Absolute path of the inputs: an array, a folder of images, a stream of tokens (.bin), or a text (.txt, .jsonl). */
  readonly inputs: string;
  readonly labels?: string;
  /** Tokens of one sample, for streams and texts. */
  readonly sequence?: number;
  /** tokenizer.json of a text. */
  readonly tokenizer?: string;
}
/** Samples that are made up, because there are none. */
export interface SyntheticSource {
  /** The method of the kind "calibration" that makes them; `auto`: the one that suits the model. */
  readonly synthetic: string;
  /** How many; what the method takes to be enough when absent. */
  readonly samples?: number;
  /** Tokens of one sample. */
  readonly sequence?: number;
  /** Other seeds give other samples; 0 when absent. */
  readonly seed?: number;
}
/** In place of a method: the one that suits the model. */
export const AUTO = 'auto';
export type DataSource = FileSource | SyntheticSource;

export type FileSpec = FileSource & { readonly preprocess?: Preprocess };
/** `sample`: shape of one sample as the model gets it, found out before anything is made. */
export type SyntheticSpec = SyntheticSource & { readonly preprocess?: Preprocess; readonly sample?: SampleShape };
export type DatasetSpec = FileSpec | SyntheticSpec;

export const isSynthetic = <T extends object>(source: T): source is Extract<T, { readonly synthetic: string }> => 'synthetic' in source;

/** `whole` when the values are whole numbers (token ids). */
export interface SampleShape { readonly shape: readonly number[]; readonly whole: boolean }

/** How samples were made up: part of every result that rests on them. */
export interface SyntheticFacts {
  /** Id of the method. */
  readonly method: string;
  readonly seed: number;
  /** How far statistics of the samples are from those stored in the model's batch norms, at first and in the end. */
  readonly distance?: { readonly before: number; readonly after: number };
}

/** Opened samples. The first dimension of every array is the sample. */
export interface Dataset {
  /** What it is, for people: the file's or folder's name, or that it is synthetic and how it was made. */
  readonly title: string;
  readonly count: number;
  readonly hasLabels: boolean;
  /** Shape of one sample as the model gets it. */
  readonly sample: SampleShape;
  /** There when the samples are made up: nothing can be right or wrong about them. */
  readonly synthetic?: SyntheticFacts;
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
