/** Proxies do not depend on the order in which samples lie in their file: bit for bit the same figures and error bars. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

const EXAMPLE = path.join(repositoryRoot, 'examples/shakespeare-gpt');

test('the same samples in another order give the same figures', async (t) => {
  const bytes = readFileSync(path.join(EXAMPLE, 'tokens_eval.npy'));
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.subarray(10, start).toString('latin1');
  const [, rows, cols] = /'shape': \((\d+), (\d+)\)/.exec(header)!.map(Number);
  const size = (bytes.length - start) / rows!;
  const count = Math.min(12, rows!);
  const write = (name: string, order: readonly number[]): string => {
    const text = header.replace(/'shape': \(\d+, \d+\)/, `'shape': (${count}, ${cols})`).padEnd(header.length + 2).slice(0, header.length - 1) + '\n';
    const file = path.join(folder(t), name);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, 10), Buffer.from(text, 'latin1'), ...order.map((row) => bytes.subarray(start + row * size, start + (row + 1) * size))]));
    return file;
  };
  const forward = Array.from({ length: count }, (_, i) => i);
  const measure = async (file: string): Promise<unknown> => {
    const outcome = await bitlens(['sensitivity', path.join(EXAMPLE, 'bitlens.json'), '--data', file, '--metric', 'activation-weighted,lim,cca,qsur,feature-entropy', '--formats', 'int3', '--json']);
    assert.equal(outcome.code, 0, outcome.stderr);
    return json<{ metrics: { layers: unknown }[] }>(outcome).metrics.map(({ layers }) => layers);
  };
  assert.deepEqual(await measure(write('a.npy', forward)), await measure(write('b.npy', forward.toReversed().map((row, i, all) => all[(i * 5) % all.length] ?? row))));
});
