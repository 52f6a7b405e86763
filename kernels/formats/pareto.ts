/** The formats worth considering: each is the one with the least error of all that cost no more. */

export interface CostAndError {
  readonly bitsPerWeight: number;
  readonly mse: number;
}

/**
 * Indexes of the Pareto set, by ascending cost: every other entry has one in the set that costs no more and errs no more. Of equals
 * the first is taken. Entries whose numbers are not finite are left out.
 */
export function paretoSet(entries: readonly CostAndError[]): number[] {
  const order = entries.map((_, i) => i).filter((i) => Number.isFinite(entries[i]!.bitsPerWeight) && Number.isFinite(entries[i]!.mse))
    .sort((a, b) => entries[a]!.bitsPerWeight - entries[b]!.bitsPerWeight || entries[a]!.mse - entries[b]!.mse || a - b);
  let least = Infinity;
  return order.filter((i) => {
    if (entries[i]!.mse >= least) return false;
    least = entries[i]!.mse;
    return true;
  });
}
