import test from 'node:test';
import assert from 'node:assert/strict';
import { TILE_WEIGHTS } from '../../../kernels/formats/blocks';
import { isBlockScaled, type BlockScaledFormat, type ScaleRule } from '../../../kernels/formats/format';
import { outerScale, SCALE_STORAGES } from '../../../kernels/formats/scale';
import { codebookElement, nextUp } from '../../../kernels/formats/codebook';
import { listedFormats, parseFormat } from '../../../kernels/formats/registry';
import type { DType } from '../../../kernels/checkpoint/checkpoint';
import { Random } from '../../../kernels/numerics/random';
import { referenceOps, type KernelOps, type ScaleSink } from '../../../kernels/wasm/ops';
import { wasmOps } from '../../../kernels/wasm/wasm-ops';

const FORMATS = [
  ...[2, 3, 4, 5, 6, 7, 8].flatMap((bits) => [`int${bits}-sym-channel`, `int${bits}-symr-channel`, `int${bits}-asym-channel`]),
  'int4-sym-channel-sf16', 'int4-sym-channel-sbf16', 'int4-asym-channel-sf16', 'int3-asym-channel-sbf16',
  'fp8-e4m3-channel', 'fp8-e5m2-channel', 'fp8-e4m3-channel-sf16', 'bf16', 'fp16',
];

/** Inputs that break careless kernels: normal, heavy-tailed, tiny, huge, one-sided, constant, ties, already quantized. */
const KINDS: Record<string, (random: Random, i: number) => number> = {
  normal: (random) => random.normal() * 0.02,
  heavy: (random) => random.normal() ** 5,
  denormal: (random) => random.normal() * 1e-40,
  tiny: (random) => random.normal() * 1e-30,
  huge: (random) => (random.uniform() - 0.5) * 6.8e38,
  positive: (random) => 1 + random.uniform(),
  negative: (random) => -3 - random.uniform(),
  constant: () => 0.75,
  zero: (_random, i) => (i % 2 ? 0 : -0),
  ties: (random) => (random.integer(31) - 15) / 2,
  quantized: (random) => Math.fround((random.integer(15) - 7) * 0.1),
  mixed: (random, i) => (i % 37 === 0 ? random.normal() * 100 : random.normal()),
  anyBits: (random) => {
    const bits = new Uint32Array([random.bits()]);
    const value = new Float32Array(bits.buffer)[0]!;
    return Number.isFinite(value) ? value : 0;
  },
};

/** NaNs have many bit patterns and are one value here. */
const plain = (value: unknown): unknown => (value instanceof Float32Array ? Array.from(value) : value);
const same = (a: unknown, b: unknown, what: string): void => { assert.deepEqual(plain(a), plain(b), what); };

function fill(ops: readonly KernelOps[], make: (i: number) => number, length: number): void {
  for (let i = 0; i < length; i += 1) {
    const value = make(i);
    for (const each of ops) each.values[i] = value;
  }
}

function format(id: string): BlockScaledFormat {
  return parseFormat(id) as BlockScaledFormat;
}

test('fused error passes equal the reference bit for bit, scales and zero points included', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  for (const [kind, make] of Object.entries(KINDS)) {
    const random = new Random(7);
    for (const size of [1, 2, 3, 4, 5, 7, 16, 27, 32, 100, 128, 129]) {
      const blocks = 5;
      fill([wasm, reference], (i) => make(random, i), blocks * size);
      for (const id of FORMATS) {
        const { element, scaleStorage } = format(id);
        const rules: ScaleRule[] = size === 27 || size === 128 || size === 5 ? ['absmax', 'mse'] : ['absmax'];
        for (const rule of rules) {
          const [a, b] = [wasm, reference].map((ops) => {
            const sums = { squared: 1.25, power: -0.5 };
            const sink: ScaleSink = { scales: new Float32Array(blocks), zeroPoints: new Int32Array(blocks), at: 0 };
            ops.blockErrors({ element, storage: scaleStorage, rule, outer: 1 }, 0, blocks, size, sums, sink);
            return { sums, sink };
          });
          same(a, b, `${id} ${rule} ${kind} blocks of ${size}`);
        }
      }
    }
  }
});

test('every registered block-scaled format equals the reference bit for bit, with both rules and a scale above the block scales', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  const extra = ['fp4-e2m1-g32-sp2up', 'fp4-e2m1-g32-sp2near', 'fp4-e2m1-g32-sp2even', 'int4-sym-g32-sdy16', 'fp4-e2m1-g16-se4m3', 'int4-sym-g32-sp2row', 'nf4-g64-sp2row', 'int4-asym-g32-sp2floor'];
  const passes = new Map([...listedFormats(), ...extra.map(parseFormat)].filter(isBlockScaled).map((each) => [JSON.stringify([each.element, each.scaleStorage]), each]));
  const random = new Random(17);
  for (const [kind, make] of Object.entries(KINDS)) {
    const [size, blocks] = [37, 3];
    fill([wasm, reference], (i) => make(random, i), blocks * size);
    for (const { id, element, scaleStorage, scaleRules } of passes.values()) {
      const absmax = wasm.values.subarray(0, blocks * size).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const outer = SCALE_STORAGES[scaleStorage].outer === null ? 1 : outerScale(absmax, element.divisor!, scaleStorage);
      for (const rule of scaleRules) {
        const [a, b] = [wasm, reference].map((ops) => {
          const sums = { squared: 0, power: 0 };
          const sink: ScaleSink = { scales: new Float32Array(blocks), zeroPoints: new Int32Array(blocks), at: 0 };
          ops.blockErrors({ element, storage: scaleStorage, rule, outer }, 0, blocks, size, sums, sink);
          return { sums, sink };
        });
        same(a, b, `${id} ${rule} ${kind}`);
      }
    }
  }
});

test('codebooks of every length equal the reference bit for bit, at their thresholds and beside them', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  const random = new Random(18);
  for (const length of [2, 3, 4, 8, 15, 16, 17, 100, 255, 256, 1000, 65536]) {
    const spread = new Set<number>([-1, 1]);
    while (spread.size < length) spread.add(Math.fround(random.uniform() < 0.5 ? 2 * random.uniform() - 1 : random.normal() ** 9 / 1000));
    const element = codebookElement({ values: Float32Array.from(spread).sort(), tie: 'even' });
    const points = Array.from({ length: 4000 }, (_, i) => {
      const threshold = element.thresholds[random.integer(element.thresholds.length)]!;
      return [threshold, nextUp(threshold), -nextUp(-threshold), random.normal(), 0, -0, 3e38, -3e38, 1e-45, -1e-45][i % 10]!;
    });
    fill([wasm, reference], (i) => points[i]!, points.length);
    for (const scale of [1, 0.5, 0.013, 1e-38, 1e30].map(Math.fround)) {
      same(wasm.pieceErrors(element, 0, points.length, scale, 0), reference.pieceErrors(element, 0, points.length, scale, 0), `${length} values, scale ${scale}`);
    }
  }
});

test('error pieces with a given scale equal the reference bit for bit', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  const random = new Random(8);
  for (const [kind, make] of Object.entries(KINDS)) {
    fill([wasm, reference], (i) => make(random, i), 1003);
    for (const id of FORMATS) {
      const { element, granularity } = format(id);
      for (const scale of granularity === null ? [1] : [1, Math.fround(0.013), Math.fround(3e-39), Math.fround(1e30)]) {
        for (const [start, length] of [[0, 1003], [1, 1000], [3, 2]] as const) {
          const zeroPoint = element.kind === 'int' && !element.symmetric ? 2 : 0;
          same(wasm.pieceErrors(element, start, length, scale, zeroPoint), reference.pieceErrors(element, start, length, scale, zeroPoint), `${id} ${kind} ${scale} ${start}+${length}`);
        }
      }
    }
  }
});

test('statistics, ranges, exceedances and histograms equal the reference bit for bit, NaN and infinities included', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  const random = new Random(9);
  const special = [NaN, Infinity, -Infinity, 65520, 65519.99, -70000, 2 ** -25, 2 ** -26, -(2 ** -25) * 1.0001, 0, -0];
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const dirty of [false, true]) {
      for (const length of [1, 2, 3, 4, 6, 63, 64, 1001]) {
        fill([wasm, reference], (i) => (dirty && random.integer(5) === 0 ? special[random.integer(special.length)]! : make(random, i)), length);
        const what = `${kind} ${length} ${dirty ? 'with specials' : ''}`;
        const [a, b] = [wasm.statistics(length), reference.statistics(length)];
        same(a, b, what);
        const std = Math.sqrt(b.m2 / Math.max(1, b.count));
        same(wasm.exceedances(length, b.mean, std), reference.exceedances(length, b.mean, std), what);
        const runs = length % 3 === 0 ? 3 : 1;
        const [minimaA, maximaA, minimaB, maximaB] = Array.from({ length: 4 }, () => new Float32Array(runs)) as [Float32Array, Float32Array, Float32Array, Float32Array];
        wasm.ranges(runs, length / runs, minimaA, maximaA);
        reference.ranges(runs, length / runs, minimaB, maximaB);
        same([minimaA, maximaA], [minimaB, maximaB], what);
        if (b.count > 0) {
          const [countsA, countsB] = [new Float64Array(17), new Float64Array(17)];
          wasm.histogram(length, b.min, b.max, countsA);
          reference.histogram(length, b.min, b.max, countsB);
          same(countsA, countsB, what);
          assert.equal(countsA.reduce((sum, n) => sum + n, 0), b.count, `every finite value is in a bin: ${what}`);
        }
        wasm.clearNonFinite(length);
        reference.clearNonFinite(length);
        same(wasm.values.slice(0, length), reference.values.slice(0, length), what);
      }
    }
  }
});

test('decoding equals the reference for every code of every small type and for wide types', async () => {
  const [wasm, reference] = [await wasmOps(), referenceOps()];
  const random = new Random(10);
  const all: [DType, number][] = [['F16', 65536], ['BF16', 65536], ['F8_E4M3', 256], ['F8_E5M2', 256], ['F8_E4M3FNUZ', 256], ['F8_E5M2FNUZ', 256]];
  for (const [dtype, codes] of all) {
    for (const ops of [wasm, reference]) {
      if (codes === 256) for (let code = 0; code < codes; code += 1) ops.raw[code] = code;
      else for (let code = 0; code < codes; code += 1) { ops.raw[2 * code] = code & 255; ops.raw[2 * code + 1] = code >> 8; }
      ops.decode(dtype, codes, 3);
    }
    same(wasm.values.slice(3, 3 + codes), reference.values.slice(3, 3 + codes), dtype);
  }
  for (const dtype of ['F32', 'F64'] as const) {
    for (let i = 0; i < 8 * 1001; i += 1) reference.raw[i] = wasm.raw[i] = random.integer(256);
    for (const ops of [wasm, reference]) ops.decode(dtype, 1001, 0);
    same(wasm.values.slice(0, 1001), reference.values.slice(0, 1001), dtype);
  }
});

test('no kernel writes outside its buffers, at full and at odd lengths', async () => {
  const guard = 64;
  const ops = await wasmOps(guard);
  const memory = new Uint8Array(ops.memory.buffer);
  for (const [at, bytes] of ops.regions.values()) memory.fill(0xa5, at + bytes, at + bytes + guard);
  const random = new Random(11);
  for (const length of [TILE_WEIGHTS, TILE_WEIGHTS - 1, 4099, 1]) {
    for (let i = 0; i < length; i += 1) ops.values[i] = random.uniform() - 0.5;
    ops.statistics(length);
    ops.exceedances(length, 0, 1);
    ops.ranges(length, 1, new Float32Array(length), new Float32Array(length));
    ops.histogram(length, -0.5, 0.5, new Float64Array(4096));
    ops.clearNonFinite(length);
    for (const id of ['int4-asym-channel', 'fp8-e4m3-channel', 'bf16', 'nf4-g64', 'mxfp8-e4m3', 'mxfp4-trunc', 'mxint8']) {
      const { element } = format(id);
      const sink = { scales: new Float32Array(length), zeroPoints: new Int32Array(length), at: 0 };
      ops.blockErrors({ element, storage: 'f32', rule: 'absmax', outer: 1 }, 0, length, 1, { squared: 0, power: 0 }, sink);
      ops.pieceErrors(element, 0, length, 1, 0);
    }
    for (const dtype of ['F64', 'F32', 'BF16', 'F16', 'F8_E4M3'] as const) ops.decode(dtype, length, 0);
    for (const [name, [at, bytes]] of ops.regions) {
      assert.ok(memory.subarray(at + bytes, at + bytes + guard).every((byte) => byte === 0xa5), `written past ${name} at length ${length}`);
    }
  }
});
