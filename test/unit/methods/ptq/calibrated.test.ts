/** What every method that calibrates on inputs must keep. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFormat } from '../../../../kernels/formats/registry';
import { methodOfKind, methods } from '../../../../kernels/methods/registry';
import type { PtqMethod } from '../../../../kernels/methods/method';
import { independent, outputError, testLayer } from './support';

const calibrated = methods().filter((each): each is PtqMethod => each.kind === 'ptq' && each.needs === 'calibration');
const FORMATS = ['int2-symr-channel', 'int3-sym-g16', 'int4-asym-g16', 'int3-asym-channel', 'fp4-e2m1-g16', 'nf4-g16', 'mxfp4', 'fp8-e4m3-tensor'];

for (const method of calibrated) {
  for (const id of FORMATS) {
    test(`${method.id} in ${id}: the output error is never above round-to-nearest's, and the result is stored exactly`, async () => {
      const layer = testLayer(6, 32, 7);
      const format = parseFormat(id);
      const result = await method.run(layer.weights, layer.view, format, {}, layer.inputs);
      const values = format.decode(result);
      const rtn = outputError(layer, format.decode(format.encode(layer.weights, layer.view, 'absmax')));
      const own = outputError(layer, values);
      assert.ok(own <= rtn * (1 + 1e-5), `${own} and ${rtn}`);
      assert.deepEqual(format.decode(format.unpack(format.pack(result), layer.view)), values);
      assert.deepEqual(await method.run(layer.weights, layer.view, format, {}, layer.inputs), result, 'the same again');
    });
  }

  test(`${method.id}: correlated inputs are made use of, group of channels by group`, async () => {
    const layer = testLayer(8, 24, 3, 0.95, 2);
    const format = parseFormat('int3-symr-channel');
    const own = outputError(layer, format.decode(await method.run(layer.weights, layer.view, format, {}, layer.inputs)));
    const best = outputError(layer, format.decode(format.encode(layer.weights, layer.view, 'absmax')));
    assert.ok(own < best * (method.id === 'importance' ? 1 : 0.7), `${own} and ${best}`);
  });

  test(`${method.id}: no inputs, or a weight that is not a number, is an error`, async () => {
    const layer = testLayer(2, 8, 1);
    const format = parseFormat('int4-sym-channel');
    const run = async (weights: Float32Array, inputs: typeof layer.inputs | null): Promise<unknown> => method.run(weights, layer.view, format, {}, inputs);
    await assert.rejects(run(layer.weights, null), /there were none/);
    await assert.rejects(run(layer.weights, { ...layer.inputs, positions: 0 }), /there were none/);
    await assert.rejects(run(layer.weights.map((value, i) => (i === 3 ? NaN : value)), layer.inputs), /NaN or infinite/);
    await assert.rejects(async () => method.run(layer.weights, layer.view, parseFormat('ptq1.61'), {}, layer.inputs), /does not allow/);
  });
}

test('gptq on independent inputs is round-to-nearest: there is nothing to make up for', async () => {
  const layer = testLayer(5, 16, 11);
  const format = parseFormat('int4-symr-channel');
  for (const actOrder of [false, true]) {
    const values = format.decode(await methodOfKind('ptq', 'gptq').run(layer.weights, layer.view, format, { scales: 'absmax', actOrder }, independent(layer)));
    assert.deepEqual(values, format.decode(format.encode(layer.weights, layer.view, 'absmax')));
  }
});

test('gptq against every choice of codes on tiny layers: close to the best, never better than it', async () => {
  const format = parseFormat('int2-symr-tensor');
  let [found, least] = [0, 0];
  for (let seed = 0; seed < 12; seed += 1) {
    const layer = testLayer(1, 6, 100 + seed);
    const result = await methodOfKind('ptq', 'gptq').run(layer.weights, layer.view, format, { scales: 'absmax', actOrder: false, damping: 0.001 }, layer.inputs);
    const scale = result.scales[0]!;
    let best = Infinity;
    for (let code = 0; code < 3 ** 6; code += 1) {
      let rest = code;
      best = Math.min(best, outputError(layer, Float32Array.from({ length: 6 }, () => { const digit = (rest % 3) - 1; rest = Math.floor(rest / 3); return Math.fround(digit * scale); })));
    }
    const own = outputError(layer, format.decode(result));
    assert.ok(own >= best * (1 - 1e-6), `${own} and ${best}`);
    found += own;
    least += best;
  }
  assert.ok(found < 3 * least, `${found} and ${least}`);
});

test('a target takes the place of the weights', async () => {
  const layer = testLayer(4, 16, 5);
  const target = layer.weights.map((value) => value * 0.5 + 0.1);
  const format = parseFormat('int4-sym-channel');
  for (const method of calibrated) {
    assert.deepEqual(await method.run(layer.weights, layer.view, format, {}, { ...layer.inputs, target }), await method.run(target, layer.view, format, {}, layer.inputs), method.id);
  }
});
