/** The real server process with its real kernel, over stdio: what only a process can show. Needs the build (dist/server.js). */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Diagnostic, MarkupContent } from 'vscode-languageserver/node';
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from 'vscode-jsonrpc/node';
import { repositoryRoot } from '../support/data';
import { TestClient, workspace } from './harness';
import { noise, safetensors } from './safetensors';

const SERVER = path.join(repositoryRoot, 'dist/server.js');
const MODEL = `import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(256, 128)
        self.second = nn.Linear(128, 64, bias=False)
        self.last = nn.Linear(64, 16, bias=False)
`;
const SECOND = 7;

/** One outlier per row: large enough to take the codes from the rest, too small to be most of the signal. */
function spiky(rows: number, cols: number): Float32Array {
  const values = noise(rows * cols, 9);
  for (let row = 0; row < rows; row++) values[row * cols + (row % cols)] = 20;
  return values;
}
const CHECKPOINT = safetensors([
  { name: 'first.weight', shape: [128, 256] }, { name: 'first.bias', shape: [128] },
  { name: 'second.weight', shape: [64, 128], values: spiky(64, 128) }, { name: 'last.weight', shape: [16, 64] },
]);

async function launch(t: TestContext, settings: object = {}) {
  if (!existsSync(SERVER)) throw new Error('dist/server.js is missing: run npm run build');
  const files = workspace(t);
  files.write('model.py', MODEL);
  files.write('weights.safetensors', CHECKPOINT);
  const child = spawn(process.execPath, [SERVER, '--stdio'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
  const client = new TestClient(createMessageConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin)));
  t.after(() => { client.rpc.dispose(); child.kill('SIGKILL'); });
  await client.initialize(files.folder, settings);
  return { files, child, client, uri: files.uri('model.py'), stderr: () => stderr };
}
const exit = (child: ChildProcess): Promise<number | null> => (child.exitCode !== null ? Promise.resolve(child.exitCode) : new Promise((resolve) => { child.once('exit', (code) => resolve(code)); }));
const of = (code: string, diagnostics: readonly Diagnostic[]): Diagnostic[] => diagnostics.filter((diagnostic) => diagnostic.code === code);

/** Children of a process, by Linux's own list; empty where there is none. */
function childrenOf(pid: number): number[] {
  try {
    return execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n').map(Number).filter((child) => child > 0);
  } catch {
    return [];
  }
}

test('measured by the real kernel: squiggle, hover, lens, report, then shutdown and exit', async (t) => {
  const { client, uri, child, stderr } = await launch(t);
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const [low] = of('BL101', (await client.diagnostics(uri)).filter(({ range }) => range.start.line === SECOND));
  assert.ok(low, 'a spike in every group leaves little for the rest');
  assert.match(String(low.message), /^second: -?\d+\.\d dB in int4-sym-g128, below 18\.0 dB; .*\(measured on the weights of weights\.safetensors\)\.$/);
  const hover = ((await client.hover(uri, SECOND, 26))!.contents as MarkupContent).value;
  assert.match(hover, /`int8-sym-channel`/);
  assert.match(hover, /`64 × 128 F32`/);
  assert.match((await client.lenses(uri))[0]!.command!.title, /^3 layers · [\d.]+ kB → [\d.]+ kB at [\d.]+ bits$/);
  const report = await client.request('bitlens/report', { uri });
  assert.deepEqual(report.layers.map((layer) => layer.path), ['first', 'second', 'last']);
  const trial = await client.request('bitlens/quantizeLayer', { uri, path: 'second', format: 'int4-sym-g128', method: 'mse-clip' });
  assert.ok(trial.after.mse <= trial.before.mse);
  await client.rpc.sendRequest('shutdown');
  await client.rpc.sendNotification('exit');
  assert.equal(await exit(child), 0);
  assert.equal(stderr(), '');
});

test('a kernel that is killed while measuring leaves the findings, and the measurement is made after all or said to have failed', async (t) => {
  const { client, uri, child } = await launch(t);
  await client.open(uri, MODEL.replace('64, 16', '64, 17'));
  assert.equal(of('BL403', await client.diagnostics(uri)).length, 1);
  await client.until('the kernel is there', () => client.statuses.some(({ kernel }) => kernel === 'ready' || kernel === 'busy'));
  for (const kernel of childrenOf(child.pid!)) process.kill(kernel, 'SIGKILL');
  assert.equal(of('BL403', await client.diagnostics(uri)).length, 1, 'findings from code and header go on');
  const settled = () => client.statuses.at(-1)?.state === 'idle' || client.statuses.at(-1)?.state === 'error';
  await client.until('measured again, or an error', settled);
  assert.ok((await client.hover(uri, SECOND, 26)) !== null);
  await client.request('bitlens/restartKernel', {});
  await client.diagnostics(uri);
  await client.until('measured', () => client.statuses.at(-1)?.state === 'idle');
});

test('the server ends, with its kernel, when its client is gone', async (t) => {
  const { client, uri, child } = await launch(t);
  await client.open(uri, MODEL);
  await client.diagnostics(uri);
  await client.refreshed();
  const kernels = childrenOf(child.pid!);
  child.stdin!.end();
  await exit(child);
  const deadline = Date.now() + 5000;
  const alive = () => kernels.filter((pid) => { try { process.kill(pid, 0); return true; } catch { return false; } });
  while (alive().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(alive(), []);
});

test('without a transport the program says how to start it', () => {
  assert.throws(() => execFileSync(process.execPath, [SERVER], { stdio: 'pipe' }), (problem: { status: number; stderr: Buffer }) => {
    assert.equal(problem.status, 2);
    assert.match(problem.stderr.toString(), /--stdio/);
    return true;
  });
});
