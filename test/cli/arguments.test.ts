import assert from 'node:assert/strict';
import test from 'node:test';
import { parseArguments, UsageError, type Command } from '../../server/cli/arguments';
import { readFormats } from '../../server/cli/formats-flag';
import { bytesText, parseSize, plain, table } from '../../server/cli/output';
import { Progress } from '../../server/cli/progress';
import { activations } from '../../server/cli/verbs/activations';
import { allocate } from '../../server/cli/verbs/allocate';
import { check } from '../../server/cli/verbs/check';
import { convert } from '../../server/cli/verbs/convert';
import { evaluate } from '../../server/cli/verbs/evaluate';
import { quantize } from '../../server/cli/verbs/quantize';
import { report } from '../../server/cli/verbs/report';
import { sensitivity } from '../../server/cli/verbs/sensitivity';
import { trace } from '../../server/cli/verbs/trace';
import { trial } from '../../server/cli/verbs/trial';

const command: Command = {
  name: 'try', summary: '', positionals: [{ name: 'A', help: 'first' }, { name: 'B', help: 'others', repeated: true }],
  flags: [{ name: 'bits', value: 'B', help: '' }, { name: 'layer', value: 'PATH', help: '', repeated: true }, { name: 'scale', value: 'RULE', help: '', choices: ['absmax', 'mse'] }, { name: 'sarif', help: '' }],
};
const parse = (...argv: string[]) => parseArguments(command, argv);

test('flags anywhere, with = or a space, repeated, and -- ends them', () => {
  const args = parse('x', '--bits', '-1', 'y', '--layer=a', '--layer', 'b,c', '--sarif', '--json', '-q', '--', '--bits');
  assert.deepEqual(args.positionals, ['x', 'y', '--bits']);
  assert.equal(args.text('bits'), '-1');
  assert.deepEqual(args.all('layer'), ['a', 'b,c']);
  assert.deepEqual(args.list('layer'), ['a', 'b', 'c']);
  assert.ok(args.has('sarif') && args.has('json') && args.has('quiet') && !args.has('progress'));
});

test('wrong usage is refused by name', () => {
  const refused: [string[], RegExp][] = [
    [['x', 'y', '--bit', '4'], /--bit is not a flag of "bitlens try"\. Did you mean --bits\?/],
    [['x', 'y', '--bits'], /--bits needs a value/],
    [['x', 'y', '--bits', '--sarif'], /--bits needs a value/],
    [['x', 'y', '--sarif=yes'], /takes no value/],
    [['x', 'y', '--scale', 'absmx'], /must be one of absmax, mse.*Did you mean absmax\?/],
    [['x', 'y', '--bits', '1', '--bits', '2'], /given twice/],
    [['x', 'y', '-z'], /-z is not a flag/],
    [['x'], /needs B/],
    [[], /needs A/],
  ];
  for (const [argv, message] of refused) assert.throws(() => parse(...argv), (error: unknown) => error instanceof UsageError && message.test(error.message), argv.join(' '));
  assert.throws(() => parse('x', 'y', '--bits', '').number('bits', 0), UsageError);
  assert.throws(() => parse('x', 'y', '--bits', '1e999').number('bits', 0), UsageError);
  assert.equal(parse('--help').has('help'), true, 'help needs no positionals');
});

test('a format that is not one: the family\'s range is said, and a family is proposed only for a word that names none', () => {
  const message = (item: string): string => { try { readFormats([item]); } catch (error) { return (error as Error).message; } return ''; };
  assert.match(message('int9'), /int formats have 1 to 8 bits or 16, not 9\. Grammar: .*Nearest: int[2-8]/);
  assert.doesNotMatch(message('int9'), /Did you mean/);
  assert.match(message('imt'), /Did you mean int\?$/);
});

test('sizes: bytes, decimal and binary units', () => {
  const sizes: [string, number | null][] = [
    ['1500000', 1_500_000], ['12MB', 12_000_000], ['1.5MiB', 1_572_864], ['1 GiB', 2 ** 30], ['3k', 3000], ['.5kB', 500], ['7b', 7],
    ['', null], ['MB', null], ['-1', null], ['1e6', null], ['0', null], ['1.2.3', null], ['12 XB', null], ['99999999999TB', null],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);
});

test('text for people: sizes, control characters, tables', () => {
  assert.deepEqual([0, 999, 1000, 12_345, 1_234_567_890].map(bytesText), ['0 B', '999 B', '1.00 kB', '12.3 kB', '1.23 GB']);
  assert.equal(plain('a\u001b[2J\nb\u202e'), 'a\uFFFD[2J\uFFFDb\uFFFD');
  const lines = table([{ title: 'Name' }, { title: 'Size', right: true }], [['a', '10'], ['b'.repeat(100), '5']], 20).split('\n');
  assert.equal(lines[2], `a${' '.repeat(19)}    10`);
  assert.equal(lines[3]!.length, 26);
});

test('progress: one redrawn line on a terminal, cleared before output; nothing when it is off', () => {
  const written: string[] = [];
  const terminal = { write: (text: string) => written.push(text), isTTY: true, columns: 60 };
  const progress = new Progress(terminal, true);
  progress.show({ done: 1, total: 2, message: 'layer\u001b' });
  assert.match(written[0]!, /^\r 50 % layer\uFFFD$/);
  progress.clear();
  assert.match(written[1]!, /^\r +\r$/);
  new Progress(terminal, false).show({ done: 1, total: 2, message: 'x' });
  assert.equal(written.length, 2);
});

test('no verb takes a flag twice', () => {
  for (const { command: { name, flags } } of [activations, allocate, check, convert, evaluate, quantize, report, sensitivity, trace, trial]) {
    const names = flags.map((flag) => flag.name);
    assert.deepEqual(names.filter((each, i) => names.indexOf(each) !== i), [], name);
  }
});
