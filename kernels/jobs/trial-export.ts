/** What a trial writes: the codes that were judged, and every parameter that transforms and corrections changed. */
import type { Quantized } from '../formats/format';
import type { PreparedModel } from '../run/prepared-model';
import { toMatrix, toStored } from '../run/weight-matrix';
import { exportQuantized } from './export-target';
import { JobError, type QuantizeResult, type TrialParams } from './job';
import { chosen, type Back, type TrialPlace } from './trial-steps';
import { wholeWeight } from './whole-weight';

/** Refuses an export of what a file of weights cannot hold, before anything is measured. @throws JobError */
export function refuseOperators({ export: target, transforms = [], activations }: TrialParams): void {
  const turning = transforms.map((choice) => chosen('transform', choice)).find(({ turnsInputs }) => turnsInputs);
  if (!target || !turning) return;
  // Where the layout is left open, turned weights are written as ordinary values.
  if (target.layout !== undefined && target.layout !== 'dequantized' && target.layout !== 'auto') throw new JobError(`${turning.id} turns what layers are applied to while the model runs, which the layout ${target.layout} does not say: its codes would be read as those of weights that are not turned. Export dequantized values, or leave ${turning.id} out`);
  if (activations) throw new JobError(`${turning.id} turns what layers are applied to while the model runs, and activations are rounded after that: weights alone cannot hold it. Leave out the export, the activations or ${turning.id}`);
}

export interface TrialModel {
  readonly quantized: ReadonlyMap<string, Quantized>;
  readonly back: Back;
  /** The model that was judged. */
  readonly model: PreparedModel;
  readonly rounded: boolean;
}

export async function exportTrial({ params, run, planned, context }: TrialPlace, { quantized, back, model, rounded }: TrialModel): Promise<NonNullable<QuantizeResult['export']>> {
  const changed = new Map([...model.changes].filter(([tensor]) => !quantized.has(tensor)));
  // Weights in a basis of their own are written as the values they stand for in the model's.
  for (const { task: { tensor }, weight: { layout } } of planned) {
    const turn = back.get(tensor);
    if (turn) changed.set(tensor, toStored(turn(toMatrix(model.values(tensor), layout)), layout));
  }
  const weights = planned.filter(({ task }) => !back.has(task.tensor)).map((each) => wholeWeight(each, quantized.get(each.task.tensor)!));
  const target = params.export!;
  const written = await exportQuantized(run.model.checkpoint, weights, target, context, changed);
  return rounded ? { ...written, notes: [...written.notes ?? [], 'activations are not rounded by what was written: whoever runs it does that'] } : written;
}
