/** What quantize and trial jobs share: the method of a task, and tasks that contradict each other. */
import type { NumberFormat } from '../formats/format';
import { methodOfKind } from '../methods/registry';
import type { PtqMethod } from '../methods/method';
import { JobError, type QuantizeTask } from './job';
import type { ResolvedWeight } from './weights';

/** @throws JobError for an unknown method, or an option that it does not have. */
export function methodOfTask(task: QuantizeTask): PtqMethod {
  let method: PtqMethod;
  try {
    method = methodOfKind('ptq', task.method);
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
  for (const option of Object.keys(task.options ?? {})) {
    if (Object.hasOwn(method.parameters, option)) continue;
    const known = Object.keys(method.parameters);
    throw new JobError(`${task.key}: ${method.id} has no option "${option}"; ${known.length ? `it has ${known.join(', ')}` : 'it takes none'}`);
  }
  return method;
}

/** Two layers may share a tensor (tied weights), but then they must agree on what becomes of it. */
export function refuseContradictions(planned: readonly PlannedTask[]): void {
  const seen = new Map<string, PlannedTask>();
  for (const each of planned) {
    const before = seen.get(each.task.tensor);
    if (before && (before.format.id !== each.format.id || before.method.id !== each.method.id || before.weight.layout.rows !== each.weight.layout.rows)) {
      throw new JobError(`${before.task.key} and ${each.task.key} share the tensor "${each.task.tensor}" but are given ${before.format.id} and ${each.format.id}; give both the same`);
    }
    seen.set(each.task.tensor, each);
  }
}

interface PlannedTask { readonly task: QuantizeTask; readonly weight: ResolvedWeight; readonly format: NumberFormat; readonly method: PtqMethod }
