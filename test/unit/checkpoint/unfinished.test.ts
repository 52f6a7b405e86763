/** Files that a process left half-written: which go, and which stay. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { removeUnfinished, unfinishedName, writeSafetensors, type SafetensorsEntry } from '../../../kernels/checkpoint';
import { scratch } from './support';

/** Id of a process that has ended. */
const ended = (): number => spawnSync(process.execPath, ['-e', '']).pid;
const renamed = (name: string, pid: number | string, machine?: string): string =>
  name.replace(/-(\d+)-/, `-${pid}-`).replace(/bitlens-[0-9a-f]{8}/, (own) => (machine ? `bitlens-${machine}` : own));

test('files of ended processes go, those of running ones and everything else stay', async (t) => {
  const folder = scratch(t);
  const own = path.basename(unfinishedName(path.join(folder, 'model.safetensors')));
  assert.match(own, /^\.model\.safetensors\.bitlens-[0-9a-f]{8}-\d+-[0-9a-f]{12}\.tmp$/);
  const dead = renamed(own, ended());
  const stays = [own, renamed(own, process.ppid), renamed(own, ended(), '00000000'), dead.slice(1), dead.replace('.tmp', ''), dead.replace('bitlens-', 'other-'), '.hidden.tmp', 'model.safetensors'];
  const old = renamed(own, 1, '00000001');
  for (const name of [dead, old, ...stays]) writeFileSync(path.join(folder, name), 'x');
  utimesSync(path.join(folder, old), 1e9, 1e9);
  await removeUnfinished(folder);
  assert.deepEqual(readdirSync(folder).sort(), [...new Set(stays)].sort());
  await removeUnfinished(folder, 'own too');
  assert.deepEqual(readdirSync(folder).sort(), stays.filter((name) => name !== own).sort());
  await removeUnfinished(path.join(folder, 'nowhere'));
});

test('names as long as a file system allows can be written, also outside ASCII', async (t) => {
  const folder = scratch(t);
  const entry: SafetensorsEntry = { name: 'a', dtype: 'U8', shape: [1], write: (sink) => { sink(Uint8Array.of(1)); } };
  for (const name of [`${'a'.repeat(243)}.safetensors`, `${'\u{1F600}'.repeat(60)}.st`, `a${'\u{1F600}'.repeat(60)}.st`]) {
    await writeSafetensors(path.join(folder, name), [entry]);
    assert.ok(readdirSync(folder).includes(name));
  }
  assert.equal(readdirSync(folder).length, 3);
});
