/** The worker pool against threads that are slow to start. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { JobCancelled } from '../../kernels/jobs/job';
import { WorkerPool } from '../../kernels/process/pool';
import { SharedState } from '../../kernels/process/shared-state';

test('Given a worker that is still starting, when the job is cancelled, then the cancel does not wait for it', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-pool-'));
  const file = path.join(folder, 'worker.cjs');
  const started = path.join(folder, 'started');
  // Loading takes five seconds; then the file says so.
  writeFileSync(file, `
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
    require('node:fs').writeFileSync(${JSON.stringify(started)}, '');
    require('node:worker_threads').parentPort.on('message', ({ index }) => require('node:worker_threads').parentPort.postMessage({ type: 'result', index, result: 1 }));
  `);
  const shared = SharedState.create(2);
  const pool = new WorkerPool({ file, threads: 2, memoryMb: 256, shared: shared.buffers }, shared);
  t.after(() => pool.close());
  const running = pool.map('task', [1, 2, 3], () => 1);
  shared.setCancelled(true);
  await assert.rejects(running, JobCancelled);
  assert.equal(existsSync(started), false, 'the thread was ended while it loaded');
  shared.setCancelled(false);
});
