import assert from 'node:assert/strict';
import test from 'node:test';
import { estimate, scoreBatch } from '../../../kernels/run/judge';
import type { NamedArray } from '../../../kernels/run/run-model';

const floats = (shape: number[], ...data: number[]): NamedArray => ({ type: 'F32', shape, data: Float32Array.from(data) });
const whole = (shape: number[], ...data: number[]): NamedArray => ({ type: 'I64', shape, data: BigInt64Array.from(data, BigInt) });
const near = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} and ${expected}`);

test('classification: loss, accuracy and divergence, worked out by hand', () => {
  const [a, b] = scoreBatch('classification', floats([2, 2], 0, Math.log(3), 5, 5), whole([2], 1, 1), floats([2, 2], 0, 0, 5, 5));
  near(a!.loss, -Math.log(0.75));
  assert.equal(a!.right, 1);
  near(a!.kl, 0.5 * Math.log(0.5 / 0.25) + 0.5 * Math.log(0.5 / 0.75));
  near(b!.kl, 0);
  near(b!.loss, Math.log(2));
  assert.equal(b!.right, 0); // the first of equal scores is the answer
});

test('a language model is judged on the tokens it predicts: the first is given, and what follows the last is not known', () => {
  const [score] = scoreBatch('language-model', floats([1, 3, 2], 0, Math.log(3), Math.log(3), 0, 9, -9), whole([1, 3], 0, 1, 1), null);
  assert.equal(score!.positions, 2);
  assert.equal(score!.right, 1);
  near(score!.loss, -Math.log(0.75) - Math.log(0.25));
});

test('one class per place: the classes are the second dimension, and a negative label is not counted', () => {
  const [score] = scoreBatch('classification', floats([1, 2, 2], 1, 0, 0, 1), whole([1, 2], 0, -100), null);
  assert.equal(score!.positions, 1);
  near(score!.loss, Math.log(1 + Math.exp(-1)));
});

test('a label beyond the classes, and outputs of a wrong rank, are refused', () => {
  assert.throws(() => scoreBatch('classification', floats([1, 2], 0, 0), whole([1], 7), null), /label 7 is not one of the 2 classes/);
  assert.throws(() => scoreBatch('language-model', floats([1, 2], 0, 0), whole([1, 2], 0, 0), null), /\[samples, tokens, vocabulary\]/);
  assert.throws(() => scoreBatch('regression', floats([1, 2], 0, 0), floats([1, 3], 0, 0, 0), null), /2 values per sample is compared with labels of 3/);
});

test('an estimate is the ratio of sums; its error is that of the mean, and absent for one sample', () => {
  assert.deepEqual(estimate([4], [2]), { value: 2, stderr: null });
  const { value, stderr } = estimate([1, 2, 3, 4], [1, 1, 1, 1]);
  near(value, 2.5);
  near(stderr!, Math.sqrt(5 / 3 / 4));
  near(estimate([1, 6], [1, 3]).value, 7 / 4);
});
