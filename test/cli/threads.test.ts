/** The number of worker threads changes how long a result takes, and nothing else of it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

const example = path.join(repositoryRoot, 'examples/shakespeare-gpt');
const model = path.join(example, 'model.py');
const COUNTS = ['1', '2', '3'];

/** The answer without what is a time or a path of this run. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !/^(seconds|startedAt|finishedAt|generatedAt|out|path)$/.test(key) || (key === 'path' && 'format' in value)).map(([key, inner]) => [key, plain(inner)]));
}

async function answers(words: (threads: string) => string[]): Promise<string[]> {
  const found: string[] = [];
  for (const threads of COUNTS) {
    const outcome = await bitlens([...words(threads), '--json', '--threads', threads]);
    assert.equal(outcome.code, 0, outcome.stderr);
    found.push(JSON.stringify(plain(json<object>(outcome))));
  }
  return found;
}
const same = (found: readonly string[]): void => { for (const each of found) assert.equal(each, found[0]); };

test('a scan is the same with 1, 2 and 3 threads', async () => {
  const found = await answers(() => ['scan', path.join(example, 'weights.safetensors'), '--formats', 'int3-sym-g64,nf4-g64,mxfp4']);
  assert.match(found[0]!, /"int3-sym-g64"/);
  same(found);
});

test('a quantized checkpoint is the same, byte for byte, with 1, 2 and 3 threads', async (t) => {
  const out = folder(t);
  const file = (threads: string) => path.join(out, `${threads}.safetensors`);
  same(await answers((threads) => ['quantize', model, '--format', 'int4-asym-g64', '--method', 'mse-clip', '--out', file(threads)]));
  const hashes = COUNTS.map((threads) => createHash('sha256').update(readFileSync(file(threads))).digest('hex'));
  assert.deepEqual(new Set(hashes).size, 1, hashes.join(' '));
});

test('a calibrated trial is the same with 1, 2 and 3 threads', async () => {
  const found = await answers(() => ['trial', 'ptq', model, '--format', 'int3-sym-g64', '--method', 'gptq', '--samples', '2', '--calibration-samples', '4']);
  assert.match(found[0]!, /"kl":\d/);
  same(found);
});
