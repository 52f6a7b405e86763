/** What a method that makes samples is given, and what it gives back. */
import type { SampleShape, SyntheticFacts, Task } from '../data/data';
import type { GraphValue } from '../graph/graph';
import type { PreparedModel } from '../run/prepared-model';
import type { NamedArray } from '../run/run-model';

export interface Synthesis {
  readonly model: PreparedModel;
  readonly task: Task;
  /** The input that samples are made for, and the output that the task is about. */
  readonly input: GraphValue;
  readonly output: GraphValue;
  /** Shape of one sample, as the model takes it. */
  readonly sample: SampleShape;
  /** Samples to make; above 0. */
  readonly count: number;
  readonly seed: number;
  throwIfCancelled(): void;
  progress(done: number, total: number): void;
}
export interface Made {
  /** [count, ...sample]. */
  readonly samples: NamedArray;
  /** What they are, to be read after "synthetic data: ". */
  readonly what: string;
  readonly distance?: SyntheticFacts['distance'];
}
