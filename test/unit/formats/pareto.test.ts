import test from 'node:test';
import assert from 'node:assert/strict';
import { paretoSet } from '../../../kernels/formats/pareto';
import { Random } from '../../../kernels/numerics/random';

test('nothing outside the set is better than what is in it, and nothing in it is beaten', () => {
  const random = new Random(1);
  for (let trial = 0; trial < 50; trial += 1) {
    const entries = Array.from({ length: 40 }, () => ({ bitsPerWeight: random.integer(12), mse: random.integer(20) }));
    const set = paretoSet(entries);
    const beats = (a: number, b: number): boolean => entries[a]!.bitsPerWeight <= entries[b]!.bitsPerWeight && entries[a]!.mse <= entries[b]!.mse
      && (entries[a]!.bitsPerWeight < entries[b]!.bitsPerWeight || entries[a]!.mse < entries[b]!.mse);
    for (const i of set) assert.ok(!entries.some((_, j) => beats(j, i)), 'in the set but beaten');
    entries.forEach((entry, i) => {
      if (!set.includes(i)) assert.ok(set.some((j) => entries[j]!.bitsPerWeight <= entry.bitsPerWeight && entries[j]!.mse <= entry.mse), 'outside though nothing is as good');
    });
    set.forEach((i, at) => { if (at > 0) assert.ok(entries[i]!.bitsPerWeight > entries[set[at - 1]!]!.bitsPerWeight); });
  }
});

test('of equals the first is taken, and what is not a number is left out', () => {
  assert.deepEqual(paretoSet([{ bitsPerWeight: 4, mse: 1 }, { bitsPerWeight: 4, mse: 1 }, { bitsPerWeight: 2, mse: NaN }]), [0]);
  assert.deepEqual(paretoSet([]), []);
});
