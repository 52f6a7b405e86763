import test from 'node:test';
import assert from 'node:assert/strict';
import schema from '../../../kernels/recipe/recipe.schema.json';
import { FormatIdError } from '../../../kernels/formats/format';
import { listedFormats, parseFormat } from '../../../kernels/formats/registry';
import { methods } from '../../../kernels/methods/registry';

const { format, scheme } = schema.definitions;
const names = format.anyOf[0]!.enum!;
const patterns = format.anyOf.slice(1).map((each) => new RegExp(each.pattern!));
const accepted = (id: string): boolean => names.includes(id) || patterns.some((pattern) => pattern.test(id));

test('the recipe schema accepts every format id that the registry lists; what is of no family, and integers with wrong parts, neither does', () => {
  for (const { id } of listedFormats()) assert.ok(accepted(id), id);
  for (const id of ['int4', 'int8-asym', 'int3-g64', 'int4-sym-g128-sf16', 'int5-symr-tensor-sbf16', 'fp8-e4m3', 'fp8-e5m2-g32', 'int4-sf16', 'int4-g2']) {
    assert.ok(accepted(id), id);
    assert.doesNotThrow(() => parseFormat(id));
  }
  for (const id of ['int9', 'int17', 'nf9', 'posit3', 'mxfp5', 'kmeans9', 'int4-g1', 'int4-g0', 'int4-sym-g01', 'int4-foo', 'fp8', 'bf16-channel', 'int4-sym-channel-sf32', '']) {
    assert.ok(!accepted(id), id);
    assert.throws(() => parseFormat(id), FormatIdError);
  }
});

test('ids that the schema completes exist; methods are those of the registry', () => {
  for (const id of names) if (id !== 'keep') assert.equal(parseFormat(id).id, id);
  assert.deepEqual(scheme.properties.method.enum, methods().filter(({ kind }) => kind === 'ptq').map(({ id }) => id));
});
