/**
 * Annotated Python files -> diagnostics. In a fixture:
 *   `# ^^^^ BL101: text`    a finding on the code line above, under the carets, whose message starts with the text
 *   `#@0-21 BL402: text`    the same, with columns, where carets would stand left of the comment sign
 *   `# stored: name 2x3`    a tensor of the checkpoint; without any, the checkpoint has what the source makes
 *   `# scan: path key=v`    what the kernel measures: dB of a format, `kurtosis`, `dead`, `spread`, `nan`; `*` is any index
 * Every finding must be announced and every announcement found.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../support/data';
import { error, type ScanOptions } from '../unit/rules/fixture';
import { FakeKernel, start, workspace } from './harness';
import { safetensors } from './safetensors';

const FOLDER = path.join(repositoryRoot, 'test/lsp/annotated');
const TARGET = 'int4-sym-g64';
const SETTINGS = { targetFormat: TARGET, formats: [TARGET, 'int8-sym-channel'], minimumSqnrDb: 20 };

interface Expected { line: number; start: number; end: number; code: string; text: string }

function expectations(lines: readonly string[]): Expected[] {
  let code = 0;
  return lines.flatMap((line, index): Expected[] => {
    const columns = /^#@(\d+)-(\d+) (BL\d{3}): (.+)$/.exec(line);
    if (columns) return [{ line: code, start: Number(columns[1]), end: Number(columns[2]), code: columns[3]!, text: columns[4]! }];
    const carets = /^\s*#\s*(\^+) (BL\d{3}): (.+)$/.exec(line);
    if (carets) {
      const start = line.indexOf('^');
      return [{ line: code, start, end: start + carets[1]!.length, code: carets[2]!, text: carets[3]! }];
    }
    code = index;
    return [];
  });
}

function scans(lines: readonly string[]): (key: string) => ScanOptions {
  const patterns = lines.flatMap((line) => {
    const match = /^# scan: (\S+) (\S+)=(\S+)$/.exec(line);
    if (!match) return [];
    const pattern = new RegExp(`^${match[1]!.replace(/\./g, '\\.').replace(/\*/g, '\\d+')}$`);
    const value = Number(match[3]);
    const measured: ScanOptions = match[2] === 'kurtosis' ? { statistics: { kurtosis: value } }
      : match[2] === 'dead' ? { statistics: { deadChannelCount: value, deadChannels: [0] } }
      : match[2] === 'spread' ? { statistics: { channelRangeSpread: value } }
      : match[2] === 'nan' ? { statistics: { nan: value } }
      : { formats: { [match[2]!]: error(value, 4.2), 'int8-sym-channel': error(45, 8.1) } };
    return [{ pattern, measured }];
  });
  return (key) => patterns.findLast(({ pattern }) => pattern.test(key))?.measured ?? {};
}

const stored = (lines: readonly string[]) => lines.flatMap((line) => {
  const match = /^# stored: (\S+) (\S+)$/.exec(line);
  return match ? [{ name: match[1]!, shape: match[2]!.split('x').map(Number) }] : [];
});

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.py'))) {
  test(`annotated: ${file}`, async (t) => {
    const text = readFileSync(path.join(FOLDER, file), 'utf8');
    const lines = text.split('\n');
    const files = workspace(t);
    files.write('model.py', text);
    const kernel = new FakeKernel();
    const measured = scans(lines);
    kernel.scans = new Proxy({}, { get: (_, key) => measured(String(key)) });
    const { client } = await start(t, files.folder, { kernel, settings: SETTINGS });
    const uri = files.uri('model.py');
    await client.open(uri, text);
    let tensors = stored(lines);
    if (tensors.length === 0) {
      const { layers } = await client.request('bitlens/model', { uri });
      assert.ok(layers.length > 0);
      tensors = MADE[file]!;
    }
    files.write('weights.safetensors', safetensors(tensors));
    await client.watched(files.uri('weights.safetensors'), 1);
    await client.refreshed();
    const show = ({ line, start, end, code }: Omit<Expected, 'text'>) => `${line + 1}:${start}-${end} ${code}`;
    const look = async () => (await client.diagnostics(uri)).map(({ range, code, message }) =>
      ({ line: range.start.line, start: range.start.character, end: range.end.character, code: String(code), text: String(message) }));
    const expected = expectations(lines);
    let found = await look();
    // The measurement and the trace come by themselves, in any order.
    while (found.length < expected.length) {
      await client.refreshed();
      found = await look();
    }
    assert.deepEqual(found.map(show).sort(), expected.map(show).sort(), found.map((one) => `${show(one)} ${one.text}`).join('\n'));
    for (const one of expected) {
      const message = found.find((other) => show(other) === show(one))!.text;
      assert.ok(message.startsWith(one.text), `${show(one)}: ${message}`);
    }
  });
}

/** What PyTorch would store for the fixtures that do not say. */
const MADE: Readonly<Record<string, { name: string; shape: number[] }[]>> = {
  'transformer.py': [
    { name: 'tok.weight', shape: [100, 64] },
    ...[0, 1, 2, 3].flatMap((index) => [
      { name: `blocks.${index}.norm.weight`, shape: [64] }, { name: `blocks.${index}.norm.bias`, shape: [64] },
      { name: `blocks.${index}.qkv.weight`, shape: [192, 64] }, { name: `blocks.${index}.proj.weight`, shape: [64, 64] },
      { name: `blocks.${index}.mlp.0.weight`, shape: [256, 64] }, { name: `blocks.${index}.mlp.0.bias`, shape: [256] },
      { name: `blocks.${index}.mlp.2.weight`, shape: [64, 256] }, { name: `blocks.${index}.mlp.2.bias`, shape: [64] },
    ]),
  ],
};
