/** The editor, the server or the kernel is killed in the middle of an exported trial: what is left of us. Needs the build. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';
import { openCheckpoint } from '../../kernels/checkpoint';
import { isAlive, until } from '../kernel/support/kernels';
import { repositoryRoot } from '../support/data';
import { bitlens } from '../cli/run';

const SERVER = path.join(repositoryRoot, 'dist/server.js');
/** Long enough for a busy machine; on an idle one everything is gone in less than two seconds. */
const GONE_MS = 20_000;
const LAYERS = 16;
const SIZE = 2048;
const posix = { skip: process.platform === 'win32' };

let editor: string | undefined;
function editorProgram(): string {
  if (editor) return editor;
  const out = mkdtempSync(path.join(os.tmpdir(), 'bitlens-editor-'));
  process.on('exit', () => rmSync(out, { recursive: true, force: true }));
  const options = { entryPoints: [path.join(repositoryRoot, 'test/lsp/fixtures/editor.ts')], outdir: out, bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'error' };
  execFileSync(process.execPath, ['-e', `require('esbuild').buildSync(${JSON.stringify(options)})`], { cwd: repositoryRoot, stdio: 'inherit' });
  return editor = path.join(out, 'editor.js');
}

/** A model, and weights of zeros: large to read and to write, nothing on the disk. */
function workspace(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-killed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bytes = SIZE * SIZE * 4;
  const header = Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: LAYERS }, (_, index) => [`layers.${index}.weight`, { dtype: 'F32', shape: [SIZE, SIZE], data_offsets: [index * bytes, (index + 1) * bytes] }]))));
  const padded = Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const descriptor = openSync(path.join(folder, 'weights.safetensors'), 'w');
  writeSync(descriptor, Buffer.concat([length, padded]));
  ftruncateSync(descriptor, 8 + padded.length + LAYERS * bytes);
  closeSync(descriptor);
  writeFileSync(path.join(folder, 'model.py'), `import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layers = nn.ModuleList([nn.Linear(${SIZE}, ${SIZE}, bias=False) for _ in range(${LAYERS})])\n`);
  return folder;
}

const SOURCES = ['model.py', 'weights.safetensors'];
const beside = (folder: string): string[] => readdirSync(folder).filter((name) => !SOURCES.includes(name));
const childrenOf = (pid: number): number[] => {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n').map(Number).filter((child) => child > 0);
  } catch {
    return [];
  }
};

/** Everything that runs once an export is half written. */
async function midExport(t: TestContext, transport: string, folder: string): Promise<{ editor: number; server: number; kernels: number[] }> {
  const program = spawn(process.execPath, [editorProgram(), SERVER, transport, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => { program.kill('SIGKILL'); });
  const lines = createInterface({ input: program.stdout });
  const server = Number((await lines[Symbol.asyncIterator]().next()).value);
  assert.ok(await until(() => beside(folder).length > 0, 60_000), 'the export has begun');
  const kernels = childrenOf(server);
  assert.ok(kernels.length > 0 && [server, ...kernels].every(isAlive));
  return { editor: program.pid!, server, kernels };
}

/** The unfinished file never has the final name, and goes with the processes. */
async function nothingLeft(pids: readonly number[], folder: string): Promise<void> {
  assert.ok(await until(() => !pids.some(isAlive), GONE_MS), `still running: ${pids.filter(isAlive).join(', ')}`);
  assert.ok(!beside(folder).includes('q.safetensors'));
}

for (const transport of ['stdio', 'node-ipc']) {
  test(`the editor is killed (${transport}): server and kernel end and take the unfinished file along`, posix, async (t) => {
    for (let round = 0; round < 2; round++) {
      const folder = workspace(t);
      const { editor: pid, server, kernels } = await midExport(t, transport, folder);
      process.kill(pid, 'SIGKILL');
      await nothingLeft([pid, server, ...kernels], folder);
      assert.deepEqual(beside(folder), []);
    }
  });
}

test('the server is killed: its kernel ends and takes the unfinished file along', posix, async (t) => {
  for (let round = 0; round < 2; round++) {
    const folder = workspace(t);
    const { server, kernels } = await midExport(t, 'node-ipc', folder);
    process.kill(server, 'SIGKILL');
    await nothingLeft([server, ...kernels], folder);
    assert.deepEqual(beside(folder), []);
  }
});

test('server and kernel are killed at once: the next export into the folder takes the unfinished file away', posix, async (t) => {
  const folder = workspace(t);
  const { server, kernels } = await midExport(t, 'stdio', folder);
  for (const pid of [server, ...kernels]) process.kill(pid, 'SIGKILL');
  await nothingLeft([server, ...kernels], folder);
  const left = beside(folder);
  assert.ok(left.length > 0 && left.every((name) => name.startsWith('.') && name.endsWith('.tmp')), `hidden and marked as temporary: ${left.join(', ')}`);
  const outcome = await bitlens(['quantize', path.join(folder, 'model.py'), '--format', 'int4-sym-g128', '--layer', 'layers.0', '--out', path.join(folder, 'other.safetensors')]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(beside(folder), ['other.safetensors']);
});

test('the kernel alone is killed: the export is made again, whole, and leaves nothing beside it', posix, async (t) => {
  const folder = workspace(t);
  const { kernels } = await midExport(t, 'stdio', folder);
  for (const pid of kernels) process.kill(pid, 'SIGKILL');
  assert.ok(await until(() => beside(folder).join() === 'q.safetensors', 120_000), beside(folder).join());
  assert.equal((await openCheckpoint(path.join(folder, 'q.safetensors'))).tensors.length, LAYERS);
});
