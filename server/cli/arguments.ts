/** A small argument parser: every flag is declared, and what is not declared is refused with the nearest that is. */
import { didYouMean } from '../analysis/user-error';

/** Wrong usage: exit code 2, one line. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export interface Flag {
  readonly name: string;
  /** Shown in help: `FORMAT`; absent for switches. */
  readonly value?: string;
  readonly help: string;
  readonly repeated?: boolean;
  readonly choices?: readonly string[];
  /** One letter, typed with a single dash. */
  readonly short?: string;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly positionals: readonly { readonly name: string; readonly help: string; readonly repeated?: boolean }[];
  readonly flags: readonly Flag[];
  /** Lines below the flags in help: examples, what is in the JSON. */
  readonly notes?: readonly string[];
}

export class Arguments {
  constructor(readonly positionals: readonly string[], private readonly values: ReadonlyMap<string, readonly string[]>) {}

  has(name: string): boolean {
    return this.values.has(name);
  }
  text(name: string): string | undefined {
    return this.values.get(name)?.[0];
  }
  all(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }
  /** Items of a flag that takes lists, given once with commas or several times. */
  list(name: string): string[] | undefined {
    if (!this.has(name)) return undefined;
    const items = this.all(name).flatMap((value) => value.split(',')).map((item) => item.trim()).filter((item) => item !== '');
    if (items.length === 0) throw new UsageError(`--${name} is empty; give at least one item`);
    return items;
  }
  number(name: string, minimum: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value < minimum) throw new UsageError(`--${name} must be a number of at least ${minimum}, not ${JSON.stringify(text)}`);
    return value;
  }
  required(name: string, why: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`--${name} is needed: ${why}`);
    return value;
  }
}

/** Flags that every verb takes. */
export const COMMON: readonly Flag[] = [
  { name: 'json', help: 'print one JSON document on stdout, everything else on stderr' },
  { name: 'progress', help: 'show progress on stderr also when it is not a terminal' },
  { name: 'quiet', short: 'q', help: 'no progress and no notes' },
  { name: 'threads', value: 'N', help: 'worker threads (0: one per core)' },
  { name: 'memory', value: 'MB', help: 'memory the kernel process may use (2048)' },
  { name: 'execution-providers', value: 'LIST', help: 'what models run on, of what the platform\'s onnxruntime has: cpu, cuda, webgpu, dml, coreml… (cpu)' },
  { name: 'help', short: 'h', help: 'show this help' },
];

/** @throws UsageError */
export function parseArguments(command: Command, argv: readonly string[]): Arguments {
  const flags = [...command.flags, ...COMMON];
  const positionals: string[] = [];
  const values = new Map<string, string[]>();
  let onlyPositionals = false;
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    if (onlyPositionals || !word.startsWith('-') || word === '-') { positionals.push(word); continue; }
    if (word === '--') { onlyPositionals = true; continue; }
    const equals = word.indexOf('=');
    const typed = equals < 0 ? word : word.slice(0, equals);
    const flag = typed.startsWith('--') ? flags.find((candidate) => candidate.name === typed.slice(2)) : flags.find((candidate) => candidate.short !== undefined && `-${candidate.short}` === typed);
    if (!flag) throw new UsageError(`${typed} is not a flag of "bitlens ${command.name}".${didYouMean(typed, flags.map((candidate) => `--${candidate.name}`))} See "bitlens ${command.name} --help"`);
    let value = 'true';
    if (flag.value === undefined) {
      if (equals >= 0) throw new UsageError(`--${flag.name} takes no value`);
    } else if (equals >= 0) {
      value = word.slice(equals + 1);
    } else {
      const next = argv[index + 1];
      if (next === undefined || (next.startsWith('--') && flags.some((candidate) => `--${candidate.name}` === next.split('=')[0]))) throw new UsageError(`--${flag.name} needs a value (${flag.value})`);
      value = next;
      index += 1;
    }
    if (flag.choices && !flag.choices.includes(value)) throw new UsageError(`--${flag.name} must be one of ${flag.choices.join(', ')}, not ${JSON.stringify(value)}.${didYouMean(value, flag.choices)}`);
    const known = values.get(flag.name);
    if (known && flag.value !== undefined && !flag.repeated) throw new UsageError(`--${flag.name} is given twice`);
    values.set(flag.name, known ? [...known, value] : [value]);
  }
  if (!values.has('help')) checkPositionals(command, positionals);
  return new Arguments(positionals, values);
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const { positionals } = command;
  const missing = positionals[given.length];
  if (missing) throw new UsageError(`bitlens ${command.name} needs ${missing.name}: ${missing.help}. Usage: ${usageLine(command)}`);
  const open = positionals.some((positional) => positional.repeated);
  if (!open && given.length > positionals.length) throw new UsageError(`${JSON.stringify(given[positionals.length])} is one argument too many. Usage: ${usageLine(command)}`);
}

export function usageLine(command: Command): string {
  const positionals = command.positionals.map(({ name, repeated }) => (repeated ? `${name}...` : name));
  const flags = command.flags.map((flag) => `[--${flag.name}${flag.value ? ` ${flag.value}` : ''}]${flag.repeated ? '...' : ''}`);
  return ['bitlens', command.name, ...positionals, ...flags].join(' ');
}

export function commandHelp(command: Command): string {
  const row = (left: string, right: string): string => `  ${left.padEnd(26)} ${right}`;
  const flag = ({ name, value, help, choices, short }: Flag): string =>
    row(`${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`, `${help}${choices ? ` (${choices.join(', ')})` : ''}`);
  return [
    command.summary, '', `Usage: ${usageLine(command)}`,
    ...(command.positionals.length > 0 ? ['', ...command.positionals.map(({ name, help }) => row(name, help))] : []),
    ...(command.flags.length > 0 ? ['', 'Flags:', ...command.flags.map(flag)] : []),
    '', 'Every verb:', ...COMMON.map(flag),
    ...(command.notes ? ['', ...command.notes] : []),
    '', 'Exit code: 0 fine, 1 findings at or above --fail-on, 2 bad usage or input.', '',
  ].join('\n');
}
