/** package.json against what it talks about: files, settings, commands, strings. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { DEFAULT_SETTINGS } from '../../../server/protocol';

const root = process.env.BITLENS_ROOT!;
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
interface Menu { readonly command?: string; readonly submenu?: string }
interface Setting { readonly default: unknown; readonly scope?: string; readonly order?: number; readonly markdownDescription?: string }
interface Manifest {
  readonly icon: string;
  readonly activationEvents: readonly string[];
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly category: string }[];
    readonly menus: Readonly<Record<string, readonly Menu[]>>;
    readonly configuration: readonly { readonly properties: Readonly<Record<string, Setting>> }[];
    readonly walkthroughs: readonly { readonly steps: readonly { readonly description: string; readonly media: { readonly svg: string }; readonly completionEvents: readonly string[] }[] }[];
    readonly viewsContainers: { readonly activitybar: readonly { readonly icon: string }[] };
    readonly jsonValidation: readonly { readonly fileMatch: string; readonly url: string }[];
  };
}
const text = read('package.json');
const manifest = JSON.parse(text) as Manifest;
const strings = JSON.parse(read('package.nls.json')) as Record<string, string>;
const { contributes } = manifest;
const commands = new Set(contributes.commands.map(({ command }) => command));

test('every setting of the protocol is contributed with the same default, and no other', () => {
  const contributed = Object.assign({}, ...contributes.configuration.map(({ properties }) => properties)) as Record<string, Setting>;
  assert.deepEqual(Object.keys(contributed).sort(), Object.keys(DEFAULT_SETTINGS).map((key) => `bitlens.${key}`).sort());
  for (const [key, value] of Object.entries(DEFAULT_SETTINGS)) assert.deepEqual(contributed[`bitlens.${key}`]!.default, value, key);
  for (const [key, setting] of Object.entries(contributed)) assert.ok(setting.scope && setting.order && setting.markdownDescription, `${key} has scope, order and description`);
});

test('every string of the manifest is in package.nls.json, and every string there is used', () => {
  const used = new Set([...text.matchAll(/"%([^%"]+)%"/g)].map((match) => match[1]!));
  assert.deepEqual([...used].filter((key) => !(key in strings)), []);
  assert.deepEqual(Object.keys(strings).filter((key) => !used.has(key)), []);
});

test('menus, walkthrough and welcome texts name commands that exist', () => {
  for (const [menu, items] of Object.entries(contributes.menus)) for (const { command } of items) if (command) assert.ok(commands.has(command), `${menu}: ${command}`);
  for (const value of Object.values(strings)) {
    for (const [, command] of value.matchAll(/\(command:([\w.]+)/g)) assert.ok(commands.has(command!) || /^bitlens\.(layers|trials)\.focus$/.test(command!), command);
  }
});

test('every command is implemented under its id', () => {
  const main = read('extension/main.ts');
  const implemented = [...main.matchAll(/^ {4}'(bitlens\.\w+)':/gm)].map((match) => match[1]!);
  assert.deepEqual(implemented.sort(), [...commands].sort());
});

test('the walkthrough has at most five steps, with pictures in theme colours', () => {
  for (const { steps } of contributes.walkthroughs) {
    assert.ok(steps.length <= 5);
    for (const { media, completionEvents } of steps) {
      assert.match(read(media.svg), /var\(--vscode-/);
      assert.ok(completionEvents.length > 0);
    }
  }
});

test('icons exist; the extension icon is a PNG of at least 128 pixels', () => {
  const png = readFileSync(path.join(root, manifest.icon));
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG');
  assert.ok(png.readUInt32BE(16) >= 128 && png.readUInt32BE(20) >= 128);
  for (const { icon } of contributes.viewsContainers.activitybar) assert.ok(existsSync(path.join(root, icon)));
});

test('activation is narrow', () => {
  assert.deepEqual([...manifest.activationEvents].sort(), ['onLanguage:python', 'onWebviewPanel:bitlens.report']);
});

test('schemas that are contributed exist and are schemas', () => {
  for (const { url } of contributes.jsonValidation) assert.equal(typeof (JSON.parse(read(url)) as { type?: unknown }).type, 'string', url);
});

test('the package is an allow-list that ships what the manifest needs', () => {
  const lines = read('.vscodeignore').split('\n').filter((line) => line && !line.startsWith('#'));
  assert.equal(lines[0], '**');
  assert.ok(lines.slice(1).every((line) => line.startsWith('!')));
  for (const file of ['dist/extension.js', 'dist/server.js', 'dist/kernel.js', manifest.icon, 'package.nls.json', ...contributes.jsonValidation.map(({ url }) => url.replace('./', ''))]) {
    assert.ok(lines.includes(`!${file}`), file);
  }
});
