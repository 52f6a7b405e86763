import type { Checkpoint, DerivedTensor, JsonValue } from '../checkpoint';
import type { LayoutRecogniser } from './layout';

/** Every recogniser, the most particular first: a tensor belongs to the first layout that takes it. */
export const RECOGNISERS: readonly LayoutRecogniser[] = [];

/** Adds the weights that quantized layouts stand for, and what is wrong with them. */
export function withDerived(checkpoint: Checkpoint, config: JsonValue | null): Checkpoint {
  const taken = new Set<string>();
  const derived: DerivedTensor[] = [...(checkpoint.derived ?? [])];
  const problems = [...checkpoint.problems];
  for (const weight of derived) for (const name of weight.replaces) taken.add(name);
  for (const recogniser of RECOGNISERS) {
    const found = recogniser.recognise(checkpoint, config, taken);
    derived.push(...found.derived);
    problems.push(...found.problems);
    for (const weight of found.derived) for (const name of weight.replaces) taken.add(name);
  }
  return derived.length === 0 && problems.length === checkpoint.problems.length ? checkpoint : { ...checkpoint, derived, problems };
}
