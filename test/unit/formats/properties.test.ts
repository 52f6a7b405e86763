/**
 * What every registered format is held to, merely by being registered. Families with properties of their own have their own tests.
 */
import test from 'node:test';
import assert from 'node:assert/strict';
import { CLIP_FRACTIONS } from '../../../kernels/formats/clip-search';
import { blockLayout } from '../../../kernels/formats/blocks';
import { isBlockScaled, type NumberFormat, type ScaleRule, type WeightView } from '../../../kernels/formats/format';
import { fieldBits } from '../../../kernels/formats/fields';
import { families, listedFormats, parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';

const all = listedFormats();
const scaled = all.filter(isBlockScaled);
const VIEWS: readonly WeightView[] = [{ rows: 3, cols: 256 }, { rows: 4, cols: 27 }, { rows: 1, cols: 128 }, { rows: 130, cols: 1 }];

function normal(seed: number, length: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, (_, i) => random.normal() * (i % 61 === 0 ? 8 : 1) * 0.1);
}

const squaredError = (a: Float32Array, b: Float32Array, from = 0, to = a.length): number => {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return sum;
};
const roundTrip = (format: NumberFormat, weights: Float32Array, view: WeightView, rule: ScaleRule = 'absmax'): Float32Array => format.decode(format.encode(weights, view, rule));
const errorOf = (id: string, weights: Float32Array, view: WeightView): number => squaredError(weights, roundTrip(parseFormat(id), weights, view));
/** Minus zero is zero here. */
const plain = (values: Float32Array): number[] => Array.from(values, (value) => value + 0);

test('encoding what was decoded, with the same scales and codebooks, changes nothing', () => {
  for (const format of all.filter(({ traits }) => traits.idempotent === true)) {
    for (const view of VIEWS) {
      const quantized = format.encode(normal(1, view.rows * view.cols), view, 'absmax');
      const values = format.decode(quantized);
      assert.deepEqual(plain(format.decode(format.encodeLike(values, quantized))), plain(values), `${format.id} ${view.rows}x${view.cols}`);
    }
  }
});

test('every weight gets the nearest of all values it could have, where the format promises that', () => {
  const random = new Random(2);
  for (const format of all) {
    const view = { rows: 2, cols: 128 };
    const weights = normal(3, 256);
    for (const rule of format.scaleRules) {
      const quantized = format.encode(weights, view, rule);
      const values = format.decode(quantized);
      for (let trial = 0; trial < 24; trial += 1) {
        const i = random.integer(256);
        const candidates = format.candidates(quantized, i);
        if (!candidates) break;
        const nearest = Math.min(...Array.from(candidates, (value) => Math.abs(weights[i]! - value)));
        // Half-way points are judged after a float32 division: a last-place rounding of it is allowed for.
        assert.ok(Math.abs(weights[i]! - values[i]!) <= nearest * (1 + 1e-5) + 1e-9, `${format.id} ${rule} weight ${i}`);
      }
    }
  }
});

test('decoded values rise with the weights of a block', () => {
  for (const format of all.filter(({ traits }) => traits.monotone)) {
    const weights = normal(4, 128).sort();
    const view = { rows: 1, cols: 128 };
    for (const rule of format.scaleRules) {
      const values = roundTrip(format, weights, view, rule);
      const { size } = blockLayout(view, format.granularity);
      for (let i = 1; i < values.length; i += 1) if (i % size !== 0) assert.ok(values[i]! >= values[i - 1]!, `${format.id} ${rule} at ${i}`);
    }
  }
});

test('a mirrored weight decodes to the mirrored values, where the format is sign-symmetric', () => {
  for (const format of all.filter(({ traits }) => traits.signSymmetric)) {
    for (const view of VIEWS) {
      const weights = normal(10, view.rows * view.cols);
      const mirrored = roundTrip(format, weights.map((x) => -x), view);
      assert.deepEqual(plain(mirrored.map((x) => -x)), plain(roundTrip(format, weights, view)), format.id);
    }
  }
  assert.ok(scaled.filter(({ element, traits }) => element.kind === 'float' && traits.signSymmetric).length > 5);
});

test('the storage cost is the size of what a packed writer writes, part by part, and unpacks to the same', () => {
  for (const format of [...all, ...['int4-asym-g32-sf16', 'int3-symr-tensor-sbf16', 'fp4-e2m1-g16-se4m3', 'int4-g32-sdy16', 'int4-g32-sp2row', 'nf4-g64-sp2near'].map(parseFormat)]) {
    for (const view of VIEWS) {
      const quantized = format.encode(normal(5, view.rows * view.cols), view, 'absmax');
      const cost = format.storage(view);
      const bytes = format.pack(quantized);
      const what = `${format.id} ${view.rows}x${view.cols}`;
      assert.equal(bytes.length, Math.ceil(cost.totalBits / 8), what);
      assert.equal(cost.totalBits, fieldBits(format.fields(view)), what);
      assert.equal(cost.codeBits + cost.scaleBits + cost.zeroPointBits + cost.otherBits, cost.totalBits, what);
      assert.equal(cost.bitsPerWeight, cost.totalBits / (view.rows * view.cols), what);
      assert.ok(bytes.some((byte) => byte !== 0), what);
      const back = format.unpack(bytes, view);
      assert.deepEqual(plain(format.decode(back)), plain(format.decode(quantized)), `${what}: unpacked values`);
      assert.deepEqual(format.pack(back), bytes, `${what}: packed again`);
      // A byte more or less is refused.
      assert.throws(() => format.unpack(bytes.subarray(1), view), RangeError, what);
    }
  }
});

test('the mse rule never has a larger sum of squares than absmax, in any block, and only shrinks ranges', () => {
  for (const format of all.filter(({ scaleRules, granularity }) => scaleRules.includes('mse') && granularity !== null)) {
    for (const view of VIEWS) {
      const weights = normal(7, view.rows * view.cols);
      const absmax = format.encode(weights, view, 'absmax');
      const clipped = format.encode(weights, view, 'mse');
      const [a, b] = [format.decode(absmax), format.decode(clipped)];
      const { count, size } = blockLayout(view, format.granularity);
      for (let block = 0; block < count; block += 1) {
        const [from, to] = [block * size, (block + 1) * size];
        assert.ok(squaredError(weights, b, from, to) <= squaredError(weights, a, from, to) * (1 + 1e-12), `${format.id} block ${block}`);
        if (isBlockScaled(format)) assert.ok(clipped.scales[block]! <= absmax.scales[block]!, `${format.id} block ${block} grew`);
      }
    }
  }
});

test('clip fractions fall from 1 to 0.2 in hundredths, and a block without gain keeps absmax', () => {
  assert.equal(CLIP_FRACTIONS.length, 81);
  assert.equal(CLIP_FRACTIONS[0], 1);
  assert.ok(Math.abs(CLIP_FRACTIONS[80]! - 0.2) < 1e-7);
  const exact = Float32Array.of(-7, 0, 3, 7);
  assert.equal(parseFormat('int4').encode(exact, { rows: 1, cols: 4 }, 'mse').scales[0], 1);
});

test('hostile blocks: empty, zeros, NaN, infinities, denormals and huge values give finite codes and positive scales', () => {
  const inputs = {
    zeros: new Float32Array(32),
    notANumber: Float32Array.from({ length: 32 }, (_, i) => (i % 4 === 0 ? NaN : i)),
    infinite: Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? Infinity : i === 5 ? -Infinity : 0.5)),
    onlyNaN: new Float32Array(32).fill(NaN),
    denormal: new Float32Array(32).fill(1e-45),
    // A slice of an integer may stand for 128/127 of the largest magnitude, which has to be a float32 still.
    huge: Float32Array.from({ length: 32 }, (_, i) => (i % 2 ? 3.37e38 : -3.37e38)),
  };
  for (const format of all) {
    for (const [name, weights] of Object.entries(inputs)) {
      for (const rule of format.scaleRules) {
        const view = { rows: 1, cols: 32 };
        const quantized = format.encode(weights, view, rule);
        const values = format.decode(quantized);
        assert.ok(quantized.scales.every((scale) => scale > 0 && Number.isFinite(scale)), `${format.id} ${name} scale`);
        assert.ok(values.every((value) => Number.isFinite(value)), `${format.id} ${name} values`);
        // NaN and infinities are stored as zeros are.
        const cleared = weights.map((x) => (Number.isFinite(x) ? x : 0));
        assert.deepEqual(plain(values), plain(roundTrip(format, cleared, view, rule)), `${format.id} ${name}: what is not finite is stored as zero`);
        assert.deepEqual(plain(format.decode(format.unpack(format.pack(quantized), view))), plain(values), `${format.id} ${name} packed`);
        if (name === 'zeros') assert.ok(values.every((value) => value === 0) || format.candidates(quantized, 0) === null || !Array.from(format.candidates(quantized, 0)!).includes(0), `${format.id}: zeros stay zero`);
      }
    }
    const nothing = { rows: 0, cols: 0 };
    const empty = format.encode(new Float32Array(0), nothing, 'absmax');
    assert.equal(format.decode(empty).length, 0);
    assert.equal(format.storage(nothing).bitsPerWeight, 0);
    assert.equal(format.pack(empty).length, Math.ceil(format.storage(nothing).totalBits / 8));
  }
});

test('one group that is the whole tensor is the tensor', () => {
  const weights = normal(11, 256);
  const view = { rows: 1, cols: 256 };
  let compared = 0;
  for (const { id } of all) {
    if (!/-g\d+/.test(id)) continue;
    const group = parseFormat(id.replace(/-g\d+/, '-g256'));
    // A format that holds rows may know channels only; the one row is the channel, too.
    for (const whole of group.holds === 'block' ? ['-tensor', '-channel'] : ['-channel']) {
      const other = parseFormat(id.replace(/-g\d+/, whole));
      for (const rule of group.scaleRules) assert.deepEqual(roundTrip(group, weights, view, rule), roundTrip(other, weights, view, rule), `${id} ${rule}`);
    }
    compared += 1;
  }
  assert.ok(compared > 10);
});

test('rows that are encoded by themselves do not depend on the rows around them', () => {
  for (const format of all.filter(({ holds }) => holds !== 'weight')) {
    const rows = 2 * format.rowsAtOnce;
    const cols = 64;
    if (isBlockScaled(format) && (format.granularity?.kind === 'tensor' || /-se4m3/.test(format.id) || format.id === 'nvfp4')) continue;
    const weights = normal(12, rows * cols);
    const together = roundTrip(format, weights, { rows, cols });
    const half = weights.length / 2;
    const apart = [0, half].flatMap((from) => Array.from(roundTrip(format, weights.slice(from, from + half), { rows: format.rowsAtOnce, cols })));
    assert.deepEqual(Array.from(together), apart, format.id);
  }
});

test('more bits never hurt: on smooth data the error falls along every ladder', () => {
  const view = { rows: 16, cols: 256 };
  for (const [kind, weights] of [['normal', normal(9, 4096)], ['uniform', (() => { const random = new Random(13); return Float32Array.from({ length: 4096 }, () => random.uniform() - 0.5); })()]] as const) {
    for (const ladder of families.flatMap(({ ladders }) => ladders ?? [])) {
      const errors = ladder.map((id) => errorOf(id, weights, view));
      errors.forEach((error, i) => { if (i > 0) assert.ok(error <= errors[i - 1]!, `${kind}: ${ladder[i]} has a larger error than ${ladder[i - 1]}`); });
      ladder.forEach((id, i) => { if (i > 0) assert.ok(parseFormat(id).codeBits > parseFormat(ladder[i - 1]!).codeBits, id); });
    }
  }
  assert.ok(errorOf('int4-sym-g32', normal(9, 4096), view) < errorOf('int4-sym-g128', normal(9, 4096), view));
});

test('families list canonical ids only, each once, and describe themselves', () => {
  const ids = families.flatMap((family) => family.listed);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(new Set(families.map(({ name }) => name)).size, families.length);
  for (const family of families) {
    for (const text of [family.title, family.grammar, family.layout, family.oracle, family.source]) assert.ok(text.length > 0, family.name);
    for (const id of family.listed) {
      const format = parseFormat(id);
      assert.equal(format.id, id);
      assert.equal(format.family, family.name, id);
      assert.ok(format.title.length > 0 && format.nominalBitsPerWeight > 0, id);
      assert.ok(format.holds === 'row' || format.rowsAtOnce === 1, id);
      assert.ok(format.scaleRules.includes('absmax'), id);
    }
  }
});
