import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { JobProgress } from '../../kernels/jobs/job';
import { JobCancelled, Kernel, KernelError, type KernelOptions, type KernelState, type KernelTrouble, type RunOptions } from '../../server/kernel';
import { badKernel, isAlive, kernelsFolder, testKernel, until } from './support/kernels';

const quick = { handshakeMs: 5000, cancelMs: 200, killMs: 200, heartbeatMs: 500, backOffMs: [0] };

function start(t: TestContext, entry: string, options: KernelOptions = {}): { kernel: Kernel; states: KernelState[]; log: string[]; run: (kind: string, params?: object, options?: RunOptions) => Promise<unknown> } {
  const states: KernelState[] = [];
  const log: string[] = [];
  const kernel = new Kernel({ entry, threads: 1, memoryMb: 512, random: () => 0.5, onState: (state) => states.push(state), log: (line) => log.push(line), ...options, timing: { ...quick, ...options.timing } });
  t.after(() => kernel.dispose());
  return { kernel, states, log, run: (kind, params = {}, runOptions = {}) => kernel.run(kind as never, params as never, runOptions) };
}
const trouble = (kind: KernelTrouble, text: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof KernelError, String(error));
  assert.equal(error.trouble, kind, error.message);
  assert.match(error.message, text);
  return true;
};

test('Given a kernel that crashes at start, when a job is run, then it fails after two tries with the reason from stderr', async (t) => {
  const { run, states } = start(t, badKernel('crash-at-start'));
  await assert.rejects(run('any'), trouble('launch', /does not start.*exit code 1.*no such instruction/));
  assert.ok(!states.includes('ready'));
});

test('Given a kernel that keeps crashing, when it has crashed too often, then it stays down, says so, and Restart tries again', async (t) => {
  const { kernel, run } = start(t, badKernel('crash-at-start'));
  for (let i = 0; i < 3; i++) await assert.rejects(run('any'), KernelError);
  assert.equal(kernel.state, 'failed');
  const before = performance.now();
  await assert.rejects(run('any'), trouble('failed', /more than 5 times in 3 minutes.*Restart Kernel/));
  assert.ok(performance.now() - before < 1000, 'no new start is tried');
  await assert.rejects(kernel.restart(), trouble('launch', /does not start/));
  assert.equal(kernel.state, 'idle');
});

test('Given a kernel that never answers the handshake, when its time is over, then it is ended and the error says so', async (t) => {
  const { kernel, run } = start(t, badKernel('no-handshake'), { timing: { handshakeMs: 600 } });
  await assert.rejects(run('any'), trouble('launch', /did not become ready in time/));
  assert.equal(kernel.pid, undefined);
});

for (const [mode, text] of [['old-protocol', /protocol 2, this program/], ['refuses', /build old/], ['handshake-shape', /names no protocol/]] as const) {
  test(`Given a kernel of another version (${mode}), when a job is run, then it is refused at once and not tried again`, async (t) => {
    const { kernel, run, states } = start(t, badKernel(mode));
    await assert.rejects(run('any'), trouble('failed', text));
    assert.equal(kernel.state, 'failed');
    assert.equal(states.filter((state) => state === 'starting').length, 1);
  });
}

test('Given a kernel that never answers a job, when it is cancelled, then the process is ended and the job is cancelled', async (t) => {
  const { kernel, run } = start(t, badKernel('no-answer'));
  const abort = new AbortController();
  const running = run('any', {}, { signal: abort.signal });
  assert.ok(await until(() => kernel.state === 'busy', 5000));
  const pid = kernel.pid!;
  abort.abort();
  await assert.rejects(running, JobCancelled);
  assert.ok(!isAlive(pid));
});

test('Given a kernel that ignores cancel, SIGTERM and the end of its stdin, when it is cancelled, then SIGKILL ends it', async (t) => {
  const { kernel, run } = start(t, badKernel('ignores-everything'));
  const abort = new AbortController();
  const running = run('any', {}, { signal: abort.signal });
  assert.ok(await until(() => kernel.state === 'busy', 5000));
  const pid = kernel.pid!;
  abort.abort();
  await assert.rejects(running, JobCancelled);
  assert.ok(!isAlive(pid));
});

test('Given a kernel without a heartbeat, when three are missed, then it counts as hung', async (t) => {
  const { run } = start(t, badKernel('no-heartbeat'), { timing: { heartbeatMs: 100 } });
  await assert.rejects(run('any'), trouble('crash', /stopped answering/));
});

test('Given a kernel that is stopped by SIGSTOP, when it is declared hung, then it is gone', { skip: process.platform === 'win32' }, async (t) => {
  const { kernel, run } = start(t, testKernel(), { timing: { heartbeatMs: 1000 } });
  const running = run('stopped');
  await until(() => kernel.state === 'busy', 8000);
  const pid = kernel.pid!;
  await assert.rejects(running, trouble('crash', /stopped answering/));
  assert.ok(!isAlive(pid));
});

test('Given a kernel that crashes in a job, when it was the first crash, then the job is tried once more and the error quotes stderr', async (t) => {
  const { run, states } = start(t, badKernel('crash-mid-job'));
  await assert.rejects(run('any'), trouble('crash', /exit code 9: RangeError: offset is out of bounds.*crash 2 times/));
  assert.equal(states.filter((state) => state === 'busy').length, 2);
});

for (const mode of ['garbage', 'huge']) {
  test(`Given a kernel that sends ${mode}, when it arrives, then the kernel is ended and the host is unharmed`, async (t) => {
    const { run } = start(t, badKernel(mode));
    await assert.rejects(run('any'), trouble('crash', /not a message of its protocol/));
  });
}

test('Given notifications of every wrong shape, when they arrive, then they are left out and the answer still counts', async (t) => {
  const seen: JobProgress[] = [];
  assert.equal(await start(t, badKernel('nonsense')).run('any', {}, { onProgress: (progress) => seen.push(progress) }), 'fine');
  assert.deepEqual(seen, []);
});

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

test('Given a kernel that floods stdout, stderr and progress, when 80 MB have come, then our memory is flat and the log short', async (t) => {
  const { run, log } = start(t, badKernel('floods'));
  const seen: JobProgress[] = [];
  // What is garbage by then is not kept: how late the collector comes depends on how busy the machine is.
  const collect = garbageCollector();
  collect();
  const before = process.memoryUsage();
  await run('any', {}, { onProgress: (progress) => seen.push(progress) });
  collect();
  const after = process.memoryUsage();
  const growth = (after.heapUsed + after.external - before.heapUsed - before.external) / 2 ** 20;
  t.diagnostic(`heap and buffers grew by ${growth.toFixed(1)} MB; ${log.length} log lines, ${seen.length} progress reports`);
  assert.ok(growth < 60, `${growth} MB`);
  assert.ok(log.length < 20_000);
  assert.ok(seen.length < 1000);
});

test('Given a file that makes the kernel die, when it did so twice, then it is quarantined until it changes, and others are not', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-quarantine-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const checkpoint = path.join(folder, 'poison.bin');
  writeFileSync(checkpoint, 'one');
  const { kernel, run, states } = start(t, testKernel());
  await assert.rejects(run('abort', { checkpoint }), trouble('crash', /SIGABRT.*poison\.bin made the kernel crash 2 times/));
  const starts = (): number => states.filter((state) => state === 'starting').length;
  const before = starts();
  await assert.rejects(run('echo', { checkpoint }), trouble('quarantined', /until the file changes/));
  assert.equal(starts(), before, 'the kernel was not started for it');
  assert.deepEqual(await run('echo', { a: 1 }), { a: 1 });
  writeFileSync(checkpoint, 'changed');
  assert.deepEqual(await run('echo', { checkpoint }), { checkpoint });
  await assert.rejects(run('abort', { checkpoint }), KernelError);
  await kernel.restart();
  assert.deepEqual(await run('echo', { checkpoint }), { checkpoint });
});

test('Given a kernel killed by SIGKILL, as the system does for want of memory, when the job fails, then the error says which setting', async (t) => {
  await assert.rejects(start(t, testKernel()).run('killed'), trouble('memory', /512 MB: raise bitlens\.memoryMb/));
});

test('Given a job under way, when the kernel is restarted, then the job fails, the queue goes on, and the state is ready again', async (t) => {
  const { kernel, run } = start(t, testKernel());
  const running = run('pollingLoop');
  const queued = run('echo', { a: 1 });
  assert.ok(await until(() => kernel.state === 'busy', 8000));
  const failed = assert.rejects(running, trouble('stopped', /restarted/));
  await kernel.restart();
  await failed;
  assert.deepEqual(await queued, { a: 1 });
  assert.equal(kernel.state, 'ready');
});

test('Given a job under way, when the kernel is disposed of, then the job is cancelled and no process is left', async (t) => {
  const { kernel, run } = start(t, testKernel());
  const running = assert.rejects(run('pollingLoop'), JobCancelled);
  assert.ok(await until(() => kernel.state === 'busy', 8000));
  const pid = kernel.pid!;
  await kernel.dispose();
  await running;
  assert.ok(!isAlive(pid));
  await assert.rejects(run('echo'), trouble('stopped', /shut down/));
});

test('Given a host with a job in a hot loop, when the host is killed, then nothing of ours is left after 3 s', { skip: process.platform === 'win32' }, async () => {
  const host = spawn(process.execPath, [path.join(kernelsFolder(), 'host.js'), testKernel()], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = Number(await new Promise<string>((resolve) => host.stdout.once('data', (chunk: Buffer) => resolve(String(chunk)))));
  assert.ok(isAlive(pid));
  host.kill('SIGKILL');
  assert.ok(await until(() => !isAlive(pid), 3000));
});
