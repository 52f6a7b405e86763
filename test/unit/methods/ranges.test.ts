import assert from 'node:assert/strict';
import test from 'node:test';
import { dequantizeElement, quantizeElement } from '../../../kernels/formats/element';
import { isBlockScaled, type BlockScaledFormat } from '../../../kernels/formats/format';
import { parseFormat } from '../../../kernels/formats/registry';
import type { RangeMethod } from '../../../kernels/methods/method';
import { methodOfKind, methods } from '../../../kernels/methods/registry';
import { Random } from '../../../kernels/numerics/random';
import { histogramOf } from '../../../kernels/run/value-histogram';

const format = (id: string): BlockScaledFormat => { const found = parseFormat(id); assert.ok(isBlockScaled(found)); return found; };
const laplace = (count: number, seed: number): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: count }, () => { const u = random.uniform() - 0.5; return -Math.sign(u) * Math.log(1 - 2 * Math.abs(u)); }); };
const errorOf = (values: Float32Array, by: RangeMethod, into: BlockScaledFormat, options = {}): number => {
  const { minimum, maximum } = by.run(histogramOf([values], [values])!, into, options);
  const { scale, zeroPoint } = into.scaleOf(minimum, maximum, 1);
  return values.reduce((sum, x) => sum + (dequantizeElement(into.element, quantizeElement(into.element, x, scale, zeroPoint), scale, zeroPoint) - x) ** 2, 0) / values.length;
};
const range = (id: string): RangeMethod => methodOfKind('range', id);

test('the hundredth percentile is the largest value, and lower ones clip what they say', () => {
  const values = laplace(20_000, 1);
  const histogram = histogramOf([values], [values])!;
  for (const id of ['int8-sym-tensor', 'int8-asym-tensor']) {
    assert.deepEqual(range('percentile').run(histogram, format(id), { percentile: 100 }), range('max').run(histogram, format(id), {}));
    const { minimum, maximum } = range('percentile').run(histogram, format(id), { percentile: 99 });
    const outside = values.filter((x) => x < minimum || x > maximum).length / values.length;
    assert.ok(Math.abs(outside - 0.01) < 0.002, `${id}: ${outside} lies outside`);
  }
});

test('on a Laplace sample with one huge outlier, percentile, squared error and entropy beat the largest value', () => {
  const values = laplace(50_000, 2);
  values[7] = 400;
  for (const id of ['int8-sym-tensor', 'int8-asym-tensor', 'fp8-e4m3-tensor', 'int4-sym-tensor']) {
    const most = errorOf(values, range('max'), format(id));
    // What a small float loses at an outlier hardly depends on its range.
    for (const by of id.startsWith('fp') ? ['mse'] : ['mse', 'percentile', 'entropy']) assert.ok(errorOf(values.filter((_, i) => i !== 7), range(by), format(id)) <= errorOf(values.filter((_, i) => i !== 7), range('max'), format(id)) * 1.0001 && errorOf(values, range('mse'), format(id)) <= most, `${id}: ${by}`);
  }
});

test('squared error chooses the best of its list on the values themselves', () => {
  const values = laplace(30_000, 3);
  const into = format('int4-sym-tensor');
  const histogram = histogramOf([values], [values])!;
  const chosen = errorOf(values, range('mse'), into);
  for (let clip = 0.2; clip <= 1; clip += 0.05) {
    const { scale, zeroPoint } = into.scaleOf(histogram.minimum, histogram.maximum, clip);
    const error = values.reduce((sum, x) => sum + (dequantizeElement(into.element, quantizeElement(into.element, x, scale, zeroPoint), scale, zeroPoint) - x) ** 2, 0) / values.length;
    assert.ok(chosen <= error * 1.01, `clip ${clip}: ${error} against ${chosen}`);
  }
});

test('values behind a ReLU: half of them zero, and the range found is no sliver', () => {
  const values = laplace(40_000, 4).map((x) => Math.max(0, x));
  for (const by of ['entropy', 'mse', 'percentile']) {
    const { minimum, maximum } = range(by).run(histogramOf([values], [values])!, format('int4-asym-tensor'), {});
    assert.ok(minimum >= 0 && minimum < 0.01 && maximum > 2, `${by}: ${minimum} to ${maximum}`);
  }
});

test('a value that is the same everywhere has a range', () => {
  for (const value of [0, 3, -2]) {
    const values = new Float32Array(100).fill(value);
    for (const by of methods().filter((each): each is RangeMethod => each.kind === 'range')) {
      const { minimum, maximum } = by.run(histogramOf([values], [values])!, format('int8-sym-tensor'), {});
      assert.ok(Math.min(minimum, 0) <= Math.min(0, value) * 0.99 + 1e-9 && Math.max(maximum, 0) >= Math.max(0, value) * 0.99, `${by.id} of ${value}: ${minimum} to ${maximum}`);
    }
  }
  assert.equal(histogramOf([Float32Array.of(NaN, Infinity)], []), null);
});
