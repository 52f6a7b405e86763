/** Ctrl-C, kills and a full disk: the process ends soon, says so, and leaves nothing half-written. */
import assert from 'node:assert/strict';
import { ftruncateSync, openSync, closeSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { spawnSync } from 'node:child_process';
import { assetPath } from '../../kernels/assets';
import { bitlens, folder, project } from './run';

/** A sparse checkpoint of zeros: large to read, small on disk. */
function sparse(file: string, layers: number, size: number): void {
  const bytes = size * size * 4;
  const header = Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: layers }, (_, index) =>
    [`layers.${index}.weight`, { dtype: 'F32', shape: [size, size], data_offsets: [index * bytes, (index + 1) * bytes] }]))));
  const padded = Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, Buffer.concat([length, padded]));
  ftruncateSync(descriptor, 8 + padded.length + layers * bytes);
  closeSync(descriptor);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} in the middle of a trial`, async (t) => {
    const root = folder(t);
    sparse(path.join(root, 'w.safetensors'), 48, 2048);
    writeFileSync(path.join(root, 'm.py'), 'import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layers = nn.ModuleList([nn.Linear(2048, 2048, bias=False) for _ in range(48)])\n');
    let sent = false;
    const outcome = await bitlens(['quantize', path.join(root, 'm.py'), '--format', 'int4-sym-g128', '--method', 'mse-clip', '--out', path.join(root, 'q.safetensors'), '--progress', '--json'], {
      onStderr: (text, kill) => {
        if (sent || !/ % /.test(text)) return;
        sent = true;
        kill(signal);
      },
    });
    assert.ok(sent, outcome.stderr);
    assert.equal(outcome.code, 130, outcome.stderr);
    assert.match(outcome.stderr, /cancelled/);
    assert.deepEqual(readdirSync(root).sort(), ['m.py', 'w.safetensors'], 'no result and no temporary file');
  });
}

test('SIGKILL in the middle of a trial: the kernel outlives the command only to take its unfinished file along', async (t) => {
  const root = folder(t);
  sparse(path.join(root, 'w.safetensors'), 48, 2048);
  writeFileSync(path.join(root, 'm.py'), 'import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layers = nn.ModuleList([nn.Linear(2048, 2048, bias=False) for _ in range(48)])\n');
  let unfinished = 0;
  await bitlens(['quantize', path.join(root, 'm.py'), '--format', 'int4-sym-g128', '--out', path.join(root, 'q.safetensors'), '--progress', '--json'], {
    onStderr: (_text, kill) => {
      if (unfinished > 0 || readdirSync(root).length < 3) return;
      unfinished = readdirSync(root).length;
      kill('SIGKILL');
    },
  });
  assert.ok(unfinished >= 3, 'there was an unfinished file');
  for (let waited = 0; waited < 10_000 && readdirSync(root).length > 2; waited += 100) await new Promise((resolve) => { setTimeout(resolve, 100); });
  assert.deepEqual(readdirSync(root).sort(), ['m.py', 'w.safetensors']);
});

test('a disk that takes no more: the file of before stays, and one sentence says why', { skip: process.platform === 'win32' }, (t) => {
  const { root, model, weights } = project(t);
  const out = path.join(root, 'q.safetensors');
  writeFileSync(out, 'the file of before');
  const before = readdirSync(root).sort();
  // A limit on the size of files stands for the full disk: the export is 20 kB, the limit 8 blocks of 512 or 1024 bytes.
  const { status, stderr } = spawnSync('sh', ['-c', 'ulimit -f 8; exec "$0" "$@"', process.execPath, assetPath('cli.js'), 'quantize', model, '--checkpoint', weights, '--format', 'int8', '--out', out], { encoding: 'utf8' });
  assert.equal(status, 2, stderr);
  assert.match(stderr, /^bitlens: .*q\.safetensors could not be written: EFBIG: [^\n]*\n$/);
  assert.deepEqual(readdirSync(root).sort(), before);
  assert.equal(readFileSync(out, 'utf8'), 'the file of before');
});
