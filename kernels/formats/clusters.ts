/** One-dimensional clustering, deterministic: exact boundaries between neighbours over sorted values. */

/**
 * Lloyd's iterations from quantiles, over values in ascending order, each with a weight. Equal values stay together.
 * @param count clusters wanted; fewer come back where there are fewer distinct values
 * @param centre of a run [from, to) of the sorted values
 * @returns ascending centres
 */
export function cluster(sorted: Float64Array, count: number, centre: (from: number, to: number) => number, poll: () => void, iterations = 30): number[] {
  const distinct = [...new Set(sorted)];
  if (distinct.length <= count) return distinct;
  let centres = [...new Set(Array.from({ length: count }, (_, i) => sorted[Math.floor(((i + 0.5) * sorted.length) / count)]!))];
  // Where quantiles coincide (many equal values), the widest gaps between centres get another.
  while (centres.length < count) {
    const missing = distinct.filter((value) => !centres.includes(value));
    let [best, gap] = [missing[0]!, -1];
    for (const value of missing.length > 1024 ? missing.filter((_, i) => i % Math.ceil(missing.length / 1024) === 0) : missing) {
      const distance = Math.min(...centres.map((each) => Math.abs(each - value)));
      if (distance > gap) [best, gap] = [value, distance];
    }
    centres = [...centres, best].sort((a, b) => a - b);
  }
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    poll();
    const ends = boundaries(sorted, centres);
    const next = centres.map((old, k) => (ends[k]! < ends[k + 1]! ? centre(ends[k]!, ends[k + 1]!) : old));
    if (next.every((value, k) => value === centres[k])) break;
    centres = next;
  }
  return centres;
}

/** Where the run of each centre begins in the sorted values, and the end. */
export function boundaries(sorted: Float64Array, centres: readonly number[]): number[] {
  const ends = [0];
  for (let k = 1; k < centres.length; k += 1) {
    const middle = (centres[k - 1]! + centres[k]!) / 2;
    let [low, high] = [ends[k - 1]!, sorted.length];
    while (low < high) {
      const at = (low + high) >> 1;
      if (sorted[at]! <= middle) low = at + 1;
      else high = at;
    }
    ends.push(low);
  }
  return [...ends, sorted.length];
}

/** Mean of runs of sorted values, by prefix sums: one pass over the values, then each run in constant time. */
export function runMeans(sorted: Float64Array): (from: number, to: number) => number {
  const sums = new Float64Array(sorted.length + 1);
  for (let i = 0; i < sorted.length; i += 1) sums[i + 1] = sums[i]! + sorted[i]!;
  return (from, to) => (sums[to]! - sums[from]!) / (to - from);
}
