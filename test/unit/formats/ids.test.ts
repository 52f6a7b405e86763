import test from 'node:test';
import assert from 'node:assert/strict';
import { blockLayout, TILE_WEIGHTS, tileLength, tilesOf, weightLayout } from '../../../kernels/formats/blocks';
import { FormatIdError } from '../../../kernels/formats/format';
import { nearestFormatId, parseFormat } from '../../../kernels/formats/registry';

test('shorthands name canonical formats', () => {
  for (const [shorthand, canonical] of [
    ['int4', 'int4-sym-channel'], ['int4-g128', 'int4-sym-g128'], ['int8-asym', 'int8-asym-channel'], ['int3-symr-tensor', 'int3-symr-tensor'],
    ['int4-sf16', 'int4-sym-channel-sf16'], ['int4-g64-sbf16', 'int4-sym-g64-sbf16'],
    ['fp8-e4m3', 'fp8-e4m3-channel'], ['fp8-e4m3-fn', 'fp8-e4m3-channel'], ['fp8-e4m3-fnuz-b8-g32', 'fp8-e4m3-fnuz-g32'], ['fp4-e2m1-b1', 'fp4-e2m1-channel'], ['nf4', 'nf4-g64'], ['mxfp4', 'mxfp4'], ['fp8-e5m2-g32', 'fp8-e5m2-g32'], ['bf16', 'bf16'], ['fp16', 'fp16'],
  ] as const) assert.equal(parseFormat(shorthand).id, canonical);
  assert.equal(parseFormat('int4'), parseFormat('int4'), 'a format is made once');
});

test('wrong ids are refused with what is allowed and the nearest id', () => {
  for (const [id, message] of [
    ['int0', /1 to 8 bits or 16, not 0.*Nearest: int/s], ['int9-sym-channel', /1 to 8 bits or 16/], ['int04', /1 to 8 bits/], ['int1-symr', /no restricted range/], ['nvfp4-g32', /takes no parameters/], ['bfp1', /2 to 8 bits/], ['dfp', /write the bits/], ['fixed-8', /bits and fraction bits/], ['fixed-20.3', /2 to 16 bits/], ['llm-fp9', /3 to 8 bits/], ['int', /bits after int/],
    ['int4-symmetric', /"symmetric" is not a granularity/], ['int4-sym-g0', /2 to 65536 weights, not 0/], ['int4-sym-g1', /2 to 65536/],
    ['int4-sym-g0128', /weights, not 0128/], ['int4-sym-g70000', /2 to 65536/], ['int4-sym-channel-sf32', /only a scale storage may follow: sf16, sbf16/],
    ['int4-sym-g128-sf16-x', /nothing may follow/], ['fp8', /fp8-e4m3 or fp8-e5m2/], ['fp8-e4m4', /1 \+|4 mantissa bits are 9 bits, not 8/], ['fp4-e2', /fp4-e2m1/], ['fp2-e1m0', /3 to 16 bits/], ['fp8-e8m-1', /name the split/], ['fp4-e2m1-b', /whole number/], ['fp4-e2m1-b120', /beyond 2\^80 or below/], ['fp3-e1m1-ieee', /needs 2 exponent bits/], ['bf16-channel', /plain cast/],
    ['nf5', /not a number format; nearest is nf4.*Allowed: int/s], ['mxfp5', /MX elements are/], ['mxfp4-g16', /no scale mode/], ['mxfp8-e4m3-even', /for mxfp4/], ['bnb-nf4', /nf4 and bnb-fp4/], ['int4-asym-g16-se4m3', /symmetric formats/], ['', /not a number format/], ['__proto__', /not a number format/], ['INT4', /nearest is int4/],
  ] as const) {
    assert.throws(() => parseFormat(id), (error) => error instanceof FormatIdError && message.test(error.message), `${id} should be refused with ${message}`);
  }
  assert.equal(nearestFormatId('int4-sym-g129'), 'int4-sym-g128');
  assert.equal(nearestFormatId('fp8-e4m4-channel'), 'fp8-e4m3-channel');
});

test('a row that the group does not divide is one group', () => {
  const group = { kind: 'group', size: 128 } as const;
  assert.deepEqual(blockLayout({ rows: 4, cols: 256 }, group), { count: 8, size: 128 });
  assert.deepEqual(blockLayout({ rows: 4, cols: 200 }, group), { count: 4, size: 200 });
  assert.deepEqual(blockLayout({ rows: 4, cols: 64 }, group), { count: 4, size: 64 });
  assert.deepEqual(blockLayout({ rows: 4, cols: 64 }, { kind: 'tensor' }), { count: 1, size: 256 });
  assert.deepEqual(blockLayout({ rows: 4, cols: 64 }, null), { count: 0, size: 256 });
});

test('tiles cover a view once, in order, and never mix rows', () => {
  for (const view of [{ rows: 7, cols: 3 }, { rows: 5, cols: TILE_WEIGHTS }, { rows: 3, cols: 2 * TILE_WEIGHTS + 96 }, { rows: 1, cols: TILE_WEIGHTS + 1 }, { rows: 9000, cols: 500 }]) {
    for (const granularity of [null, { kind: 'group', size: 96 } as const, { kind: 'tensor' } as const]) {
      const length = tileLength(view, granularity);
      let next = 0;
      for (const tile of tilesOf(view, length)) {
        assert.equal(tile.start, next);
        assert.ok(tile.length > 0 && tile.length <= TILE_WEIGHTS);
        const firstRow = Math.floor(tile.start / view.cols);
        const lastRow = Math.floor((tile.start + tile.length - 1) / view.cols);
        assert.ok(firstRow === lastRow || (tile.start % view.cols === 0 && tile.length % view.cols === 0));
        if (granularity?.kind === 'group' && view.cols % granularity.size === 0) assert.equal(tile.length % granularity.size, 0);
        next += tile.length;
      }
      assert.equal(next, view.rows * view.cols);
    }
  }
});

test('views: vectors are one row, linear and convolution weights have output channels first, transposed ones by group', () => {
  assert.deepEqual([weightLayout([7], 0).rows, weightLayout([7], 0).cols], [1, 7]);
  assert.deepEqual([weightLayout([16, 3, 3, 3], 0).rows, weightLayout([16, 3, 3, 3], 0).cols], [16, 27]);
  assert.equal(weightLayout([16, 3, 3, 3], 0).contiguous, true);
  const transposed = weightLayout([4, 5, 2, 2], 1, 2);
  assert.deepEqual([transposed.rows, transposed.cols, transposed.contiguous], [10, 8, false]);
  assert.throws(() => weightLayout([4, 5], 2), /not a dimension/);
  assert.throws(() => weightLayout([4, 5], 1, 3), /do not divide/);
});
