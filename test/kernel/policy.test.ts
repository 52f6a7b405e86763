import assert from 'node:assert/strict';
import test from 'node:test';
import { LineLog, Tail } from '../../server/kernel/output';
import { RestartPolicy } from '../../server/kernel/restart-policy';
import { defaultTiming } from '../../server/kernel/timing';

test('Given crashes in a row, when the next start is due, then it waits 0, 1, 4, 15 and 60 s, and the sixth stays down', () => {
  const policy = new RestartPolicy(defaultTiming, () => 0.5);
  let now = 1000;
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    assert.ok(policy.crashed(now, 100));
    waits.push(policy.delay(now));
    now += policy.delay(now) + 100;
  }
  assert.deepEqual(waits, [0, 1000, 4000, 15_000, 60_000]);
  assert.equal(policy.crashed(now, 100), false);
  policy.reset();
  assert.ok(policy.crashed(now, 100));
  assert.equal(policy.delay(now), 0);
});

test('Given chance at its ends, when a start is delayed, then the delay is within 20 % either way', () => {
  for (const [chance, wait] of [[0, 800], [1, 1200]] as const) {
    const policy = new RestartPolicy(defaultTiming, () => chance);
    policy.crashed(0, 0);
    policy.crashed(0, 0);
    assert.ok(Math.abs(policy.delay(0) - wait) < 1e-9);
  }
});

test('Given a process that was up for 10 s, when it crashes, then the delays begin anew', () => {
  const policy = new RestartPolicy(defaultTiming, () => 0.5);
  for (let i = 0; i < 3; i++) policy.crashed(i, 100);
  assert.ok(policy.delay(2) > 0);
  policy.crashed(20_000, 10_000);
  assert.equal(policy.delay(20_000), 0);
});

test('Given crashes further apart than the window, when they are counted, then old ones are forgotten', () => {
  const policy = new RestartPolicy(defaultTiming, () => 0.5);
  for (let i = 0; i < 50; i++) assert.ok(policy.crashed(i * 60_000, 100));
});

test('Given more output than is kept, when it is read, then it is exactly the last of it', () => {
  for (const size of [1, 7, 100, 5000]) {
    const tail = new Tail(1000);
    let all = '';
    for (let i = 0; all.length < 20_000; i++) {
      const piece = String.fromCharCode(97 + (i % 26)).repeat(size);
      all += piece;
      tail.push(Buffer.from(piece));
    }
    assert.equal(tail.toString(), all.slice(-1000));
  }
});

test('Given 10,000 lines in one second, when they are logged, then 100 are, and the rest is counted', () => {
  const lines: string[] = [];
  let now = 5000;
  const log = new LineLog((line) => lines.push(line), () => now);
  for (let i = 0; i < 10_000; i++) log.push(Buffer.from(`line ${i}\n`));
  now += 1000;
  log.push(Buffer.from('last'));
  log.end();
  assert.equal(lines.length, 102);
  assert.equal(lines[100], '(9900 more lines were left out)');
  assert.equal(lines[101], 'last');
});
