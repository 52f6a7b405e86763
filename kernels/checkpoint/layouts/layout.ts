/**
 * Quantized layouts that are ordinary tensors under agreed names (`qweight`, `scales`, `qzeros`...). Recognised from the header
 * alone, after a checkpoint was opened; the values are decoded by the layout of the same id in kernels/stored.
 */
import type { Checkpoint, CheckpointProblem, DerivedTensor, JsonValue } from '../checkpoint';

export interface RecognisedLayout {
  readonly derived: readonly DerivedTensor[];
  readonly problems: readonly CheckpointProblem[];
}

export interface LayoutRecogniser {
  /** Id of the stored layout. */
  readonly id: string;
  /**
   * @param config the model's `quantization_config` where a config.json lies beside the checkpoint or its metadata carries one.
   * @returns what was recognised among tensors that `taken` does not name; never throws for what a file may hold.
   */
  recognise(checkpoint: Checkpoint, config: JsonValue | null, taken: ReadonlySet<string>): RecognisedLayout;
}
