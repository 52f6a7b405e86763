import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { dataPath, needsData } from '../../support/data';
import { openBytes } from './support';

interface Case { case: string; verdict: 'accept' | 'reject'; detail: string; bytes: string | null; recipe: string | null }

/** Accepted by the reference although the specification forbids it: opened, and shown with a finding. */
const AGAINST_SPECIFICATION = new Set([
  'leading whitespace', 'duplicate tensor same', 'duplicate tensor, last valid', 'duplicate via escape', 'duplicate metadata key',
  'unknown field', 'metadata null', 'tensor as array', 'zero times overflow', '10000 dims',
]);

function bytesOf(each: Case): Buffer {
  if (each.bytes !== null) return Buffer.from(each.bytes, 'base64');
  const nest = '['.repeat(200_000) + ']'.repeat(200_000);
  const header = each.case === 'metadata deep' ? `{"__metadata__":${nest}}` : `{"a":${nest}}`;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, Buffer.from(header)]);
}

test('each of the 82 headers gets the verdict of the reference implementation', async (t) => {
  if (!needsData(t, 'oracles/safetensors-verdicts')) return;
  const { cases } = JSON.parse(readFileSync(dataPath('oracles/safetensors-verdicts/verdicts.json'), 'utf8')) as { cases: Case[] };
  assert.equal(cases.length, 82);
  for (const each of cases) {
    const result = await openBytes(bytesOf(each));
    if (each.verdict === 'reject') {
      assert.ok('error' in result, `${each.case}: refused by the reference (${each.detail}), opened here`);
      assert.equal(result.error.problem.grade, 'malformed');
      continue;
    }
    assert.ok('checkpoint' in result, `${each.case}: accepted by the reference, refused here: ${'error' in result ? result.error.message : ''}`);
    const listed = [...result.checkpoint.tensors].sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((tensor) => `${tensor.name}:${tensor.dtype}:[${tensor.shape.map((dim) => (dim > Number.MAX_SAFE_INTEGER ? '18446744073709551615' : String(dim))).join(', ')}]:${tensor.bytes}`).join(';');
    // The oracle cut its lists at 300 characters.
    assert.equal(each.detail.length < 300 ? listed : listed.slice(0, 300), each.detail, each.case);
    const questionable = result.checkpoint.problems.some((problem) => problem.grade === 'questionable');
    assert.equal(questionable, AGAINST_SPECIFICATION.has(each.case), `${each.case}: ${JSON.stringify(result.checkpoint.problems)}`);
  }
});

test('names keep their place in the file and their spelling, whatever they are', async (t) => {
  if (!needsData(t, 'oracles/ct-hadamard')) return;
  const result = await openBytes(readFileSync(dataPath('oracles/ct-hadamard/hadamards.safetensors')));
  assert.ok('checkpoint' in result);
  const { tensors, problems } = result.checkpoint;
  const bytes = readFileSync(dataPath('oracles/ct-hadamard/hadamards.safetensors'));
  const header = bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0)));
  const inFile = [...header.matchAll(/"([^"]+)":\{"dtype"/g)].map((match) => match[1]);
  assert.ok(inFile.length > 10);
  assert.deepEqual(tensors.map((tensor) => tensor.name), inFile);
  assert.deepEqual(problems.filter((problem) => problem.grade !== 'information'), []);
});
