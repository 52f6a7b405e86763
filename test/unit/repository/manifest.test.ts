/** What the repository promises in its manifest, held against the code. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { DEFAULT_SETTINGS } from '../../../server/protocol';
import { repositoryRoot } from '../../support/data';

const read = (name: string): string => readFileSync(path.join(repositoryRoot, name), 'utf8');
const manifest = JSON.parse(read('package.json'));

function* sources(...folders: readonly string[]): Generator<string> {
  for (const folder of folders) {
    for (const entry of readdirSync(path.join(repositoryRoot, folder), { withFileTypes: true, recursive: true })) {
      if (entry.isFile() && /\.(ts|mjs)$/.test(entry.name)) yield path.join(entry.parentPath, entry.name);
    }
  }
}

test('identity, engine, kind and trust are as designed', () => {
  assert.equal(`${manifest.publisher}.${manifest.name}`, 'bitlens.bitlens');
  assert.equal(manifest.engines.vscode, '^1.101.0');
  assert.deepEqual(manifest.extensionKind, ['workspace']);
  assert.equal(manifest.capabilities.untrustedWorkspaces.supported, 'limited');
  assert.equal(manifest.capabilities.virtualWorkspaces.supported, 'limited');
  assert.equal(manifest.license, 'MIT');
});

test('nothing is installed at run time: everything the extension needs is bundled', () => {
  assert.equal(manifest.dependencies, undefined);
  const lifecycle = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'].filter((name) => name in manifest.scripts);
  assert.deepEqual(lifecycle, []);
  assert.match(read('.npmrc'), /^ignore-scripts=true$/m);
});

test('the lock file names packages, not hosts', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved"\s*:\s*"https?:/);
});

test('every setting of the protocol is contributed with the same default, and no other', () => {
  const contributed: Record<string, { default: unknown }> = Object.assign({}, ...[manifest.contributes.configuration].flat().map((section) => section.properties));
  const names = Object.keys(contributed).filter((name) => name.startsWith('bitlens.')).map((name) => name.slice('bitlens.'.length));
  assert.deepEqual(names.filter((name) => !name.startsWith('trace')).sort(), Object.keys(DEFAULT_SETTINGS).sort());
  for (const [name, value] of Object.entries(DEFAULT_SETTINGS)) assert.deepEqual(contributed[`bitlens.${name}`]!.default, value, name);
});

test('every contributed command is registered by the client', () => {
  const client = [...sources('extension')].map((file) => readFileSync(file, 'utf8')).join('\n');
  for (const { command } of manifest.contributes.commands as { command: string }[]) {
    assert.ok(client.includes(`'${command}'`) || client.includes(`"${command}"`) || client.includes(`'${command.replace('bitlens.', '')}'`), `${command} is not registered`);
  }
});

test('manifest texts are all translated keys that exist', () => {
  const texts = JSON.parse(read('package.nls.json'));
  for (const [, key] of read('package.json').matchAll(/"%([^%"]+)%"/g)) assert.ok(key! in texts, `%${key}% has no text`);
});

test('source files stay small enough to read', () => {
  const tooLong = [...sources('extension', 'server', 'kernels', 'media')]
    .map((file) => [path.relative(repositoryRoot, file), readFileSync(file, 'utf8').split('\n').length] as const)
    .filter(([, lines]) => lines > 500);
  assert.deepEqual(tooLong, []);
});

test('no source imports a network module', () => {
  const reaching = [...sources('extension', 'server', 'kernels', 'media')]
    .filter((file) => /from '(node:)?(https?|http2|net|dgram|tls|undici)'/.test(readFileSync(file, 'utf8')))
    .map((file) => path.relative(repositoryRoot, file));
  assert.deepEqual(reaching, []);
});
