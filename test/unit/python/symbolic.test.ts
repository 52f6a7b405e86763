import assert from 'node:assert/strict';
import test from 'node:test';
import { floorQuotient, freeSize, plus, times, TooComplex, type Whole } from '../../../server/python/values/symbolic';

test('sizes that grow without end are refused by the name of their dimension, before they take memory', () => {
  const grow = (step: (size: Whole) => Whole): void => { let size: Whole = freeSize('height', 224); for (let i = 0; i < 60; i += 1) size = step(size); };
  const named = (error: unknown): boolean => error instanceof TooComplex && error.dimension === 'height';
  assert.throws(() => grow((size) => times(plus(size, 1), plus(size, 3))), named);
  assert.throws(() => grow((size) => plus(floorQuotient(size, 7), times(floorQuotient(size, 5), floorQuotient(size, 3)))), named);
  assert.doesNotThrow(() => { let size: Whole = freeSize('height', 224); for (let i = 0; i < 12; i += 1) size = plus(floorQuotient(plus(size, -1), 2), 1); });
});
