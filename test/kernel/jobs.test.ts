import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import type { JobProgress } from '../../kernels/jobs/job';
import { JobCancelled, JobError, Kernel, KernelError, type KernelOptions, type RunOptions } from '../../server/kernel';
import { testKernel } from './support/kernels';

/** The kernel knows no kinds by name, so the tests' own need a cast only. */
function start(t: TestContext, options: KernelOptions = {}): { kernel: Kernel; run: (kind: string, params?: object, options?: RunOptions) => Promise<unknown> } {
  const kernel = new Kernel({ entry: testKernel(), threads: 2, memoryMb: 512, ...options });
  t.after(() => kernel.dispose());
  return { kernel, run: (kind, params = {}, runOptions = {}) => kernel.run(kind as never, params as never, runOptions) };
}

test('Given 1, 2 and 4 threads, when tasks end out of order, then the results are the same and in task order', async (t) => {
  const answers: unknown[] = [];
  for (const threads of [1, 2, 4]) {
    const { run } = start(t, { threads });
    answers.push(await run('hashes', { count: 100, seed: 3 }));
  }
  const [first, ...others] = answers as { results: number[]; floats: Float32Array }[];
  assert.equal(first!.results.length, 100);
  assert.equal(new Set(first!.results).size, 100);
  assert.ok(first!.floats instanceof Float32Array, 'typed arrays arrive as they are');
  for (const other of others) assert.deepEqual(other, first);
});

test('Given a job in a hot loop on a worker, when it is cancelled, then it ends soon and the same process goes on', async (t) => {
  const { kernel, run } = start(t);
  const abort = new AbortController();
  let cancelledAt = 0;
  await run('hashes', { count: 4, seed: 1 });
  const running = run('pollingLoop', {}, { signal: abort.signal, onProgress: () => {
    setTimeout(() => { cancelledAt = performance.now(); abort.abort(); }, 100);
  } });
  await assert.rejects(running, JobCancelled);
  const took = performance.now() - cancelledAt;
  t.diagnostic(`cancelled after ${took.toFixed(1)} ms`);
  assert.ok(took < 1000, `${took} ms`);
  const { pid } = kernel;
  assert.deepEqual(await run('echo', { a: 1 }), { a: 1 });
  assert.equal(kernel.pid, pid);
});

for (const kind of ['deafLoop', 'deafJob']) {
  test(`Given ${kind}, which never looks at the flag, when it is cancelled, then its threads are ended and the process lives`, async (t) => {
    const { kernel, run } = start(t);
    const abort = new AbortController();
    await assert.rejects(run(kind, {}, { signal: abort.signal, onProgress: () => abort.abort() }), JobCancelled);
    const { pid } = kernel;
    assert.equal(((await run('hashes', { count: 10, seed: 1 })) as { results: number[] }).results.length, 10);
    assert.equal(kernel.pid, pid);
  });
}

test('Given a worker that dies under a task, when the job fails, then the error says so and the next job has its workers', async (t) => {
  const { kernel, run } = start(t);
  await assert.rejects(run('workerDies'), (error: unknown) => error instanceof KernelError && error.trouble === 'crash' && /worker \d ended unexpectedly \(exit code 7\)/.test(error.message));
  const { pid } = kernel;
  assert.equal(((await run('hashes', { count: 10, seed: 1 })) as { results: number[] }).results.length, 10);
  assert.equal(kernel.pid, pid);
});

test('Given several failing tasks, when the later ones fail sooner, then the error is of the first in order, every time', async (t) => {
  for (const threads of [1, 2, 4]) {
    const { run } = start(t, { threads });
    await assert.rejects(run('failures'), (error: unknown) => error instanceof JobError && error.message === 'task 2 failed');
  }
});

test('Given progress that goes back and changes its total, when it is shown, then the share never falls and the estimate comes after 5 %', async (t) => {
  const { run } = start(t);
  const seen: JobProgress[] = [];
  await run('backwards', {}, { onProgress: (progress) => seen.push(progress) });
  assert.ok(seen.length >= 3);
  let share = 0;
  for (const { done, total, secondsLeft } of seen) {
    assert.ok(done / total >= share - 1e-12);
    share = done / total;
    assert.equal(secondsLeft !== undefined, share >= 0.05);
  }
  assert.equal(share, 1);
});

test('Given 200,000 progress reports, when they are shown, then about ten a second are, the last among them', async (t) => {
  const { run } = start(t);
  const seen: JobProgress[] = [];
  const started = performance.now();
  await run('flood', {}, { onProgress: (progress) => seen.push(progress) });
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seen.length <= seconds * 11 + 2, `${seen.length} in ${seconds} s`);
  assert.equal(seen.at(-1)?.done, 200_000);
});

test('Given bad input and a bug in a job, when they fail, then the first is the user\'s own message and the second says whose fault it is', async (t) => {
  const { run } = start(t);
  await assert.rejects(run('userError'), (error: unknown) => error instanceof JobError && error.message === 'the weight "a" has no values');
  await assert.rejects(run('bug'), (error: unknown) => error instanceof KernelError && error.trouble === 'internal' && error.message.includes('TypeError: x is undefined'));
  await assert.rejects(run('constructor'), (error: unknown) => error instanceof JobError && error.message.includes('knows no job "constructor"'));
});

for (const kind of ['heap', 'buffers']) {
  test(`Given a job whose ${kind} grow without end, when it reaches the limit, then the error names the limit and the setting, and others run on`, async (t) => {
    const { run } = start(t, { memoryMb: 128, threads: 1, timing: { backOffMs: [0] } });
    await assert.rejects(run(kind), (error: unknown) => error instanceof KernelError && error.trouble === 'memory' && error.message.includes('needs more than 128 MB: raise bitlens.memoryMb'));
    assert.deepEqual(await run('echo', { a: 1 }), { a: 1 });
  });
}

test('Given a request longer than 16 MiB, when it is sent, then it is refused before it leaves', async (t) => {
  const { run } = start(t);
  await assert.rejects(run('echo', { bytes: new Uint8Array(17 * 2 ** 20) }), (error: unknown) => error instanceof JobError && error.message.includes('16 MiB'));
  const bytes = new Uint8Array(15 * 2 ** 20).fill(3);
  assert.deepEqual((await run('echo', { bytes }) as { bytes: Uint8Array }).bytes, bytes);
});

test('Given tokens and NODE_OPTIONS in our environment, when the kernel starts, then it does not get them', async (t) => {
  process.env['GITHUB_TOKEN'] = 'secret';
  process.env['NODE_OPTIONS'] = '--no-deprecation';
  t.after(() => { delete process.env['GITHUB_TOKEN']; delete process.env['NODE_OPTIONS']; });
  const { run } = start(t);
  const { names, arguments: args } = await run('environment') as { names: string[]; arguments: string[] };
  assert.ok(!names.includes('GITHUB_TOKEN') && !names.includes('NODE_OPTIONS'));
  assert.ok(names.includes('PATH') && names.includes('ELECTRON_RUN_AS_NODE'));
  assert.ok(args.some((argument) => argument.startsWith('--max-old-space-size=')));
});

test('Given a running job and a queue, when an interactive job comes, then it overtakes the queued scan and a queued job can be cancelled', async (t) => {
  const { run } = start(t);
  const order: string[] = [];
  const note = (name: string) => (): void => { order.push(name); };
  const abort = new AbortController();
  const first = run('hashes', { count: 50, seed: 1 }, { priority: 'background' }).then(note('running'));
  const scan = run('echo', { n: 1 }, { priority: 'background' }).then(note('scan'));
  const dropped = run('echo', { n: 2 }, { signal: abort.signal });
  const detail = run('echo', { n: 3 }).then(note('detail'));
  abort.abort();
  await assert.rejects(dropped, JobCancelled);
  await Promise.all([first, scan, detail]);
  assert.deepEqual(order, ['running', 'detail', 'scan']);
});

test('Given an idle kernel, when its idle time is over, then it ends by itself and the next job starts another', async (t) => {
  const { kernel, run } = start(t, { timing: { idleMs: 100 } });
  await run('echo');
  const { pid } = kernel;
  for (let i = 0; i < 300 && kernel.state !== 'idle'; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(kernel.state, 'idle');
  await run('echo');
  assert.notEqual(kernel.pid, pid);
});

test('Given a job that writes and never looks at the flag, when it is cancelled, then what it had half written is gone and the kernel goes on', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-writer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { kernel, run } = start(t);
  await run('echo');
  const { pid } = kernel;
  const abort = new AbortController();
  const written: string[] = [];
  await assert.rejects(run('deafWriter', { folder }, { signal: abort.signal, onProgress: () => { written.push(...readdirSync(folder)); abort.abort(); } }), JobCancelled);
  assert.equal(written.length, 1);
  assert.deepEqual(readdirSync(folder), []);
  assert.deepEqual(await run('echo', { a: 1 }), { a: 1 });
  assert.equal(kernel.pid, pid);
});
