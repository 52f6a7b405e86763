/** Kendall's tau-b against values worked out by hand. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { kendallTau } from '../../../server/report/agreement';

test('tau is 1 for the same order, -1 for the opposite, and null without any order', () => {
  assert.equal(kendallTau([1, 2, 3, 4], [10, 20, 25, 90]), 1);
  assert.equal(kendallTau([1, 2, 3, 4], [4, 3, 2, 1]), -1);
  assert.equal(kendallTau([1, 2, 3], [5, 5, 5]), null);
  assert.equal(kendallTau([1], [1]), null);
});

test('ties are corrected for', () => {
  const near = (actual: number | null, expected: number): void => assert.ok(Math.abs(actual! - expected) < 1e-12, `${actual}`);
  near(kendallTau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]), -4 / Math.sqrt(8 * 9));
  near(kendallTau([1, 2, 2, 3, 4, 4, 5], [2, 1, 3, 3, 4, 6, 5]), 14 / Math.sqrt(19 * 20));
});
