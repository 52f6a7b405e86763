/** Reading JSON that people write: every complaint names the file and the path of the value (`models[0].class`). */
import { readFile, stat } from 'node:fs/promises';
import { JsonScanner, JsonSyntaxError } from '../../kernels/checkpoint/json-scanner';
import { didYouMean, messageOf, UserError } from './user-error';

/** Files people write by hand are small; anything larger was given by mistake. */
const MAX_BYTES = 32 * 2 ** 20;

export async function readJsonFile(file: string, what: string): Promise<unknown> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, and a ${what} has at most ${MAX_BYTES}`);
    text = await readFile(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UserError(missing ? `${what} ${file} does not exist` : `cannot read ${what} ${file}: ${messageOf(error)}`);
  }
  return parseJson(text, file, what);
}

/** Deeper than anything people write; a file nested further is an attack or a mistake. */
const MAX_DEPTH = 64;

/**
 * JSON by the grammar, with what JSON.parse passes over refused: a name given twice in one object (the second would
 * silently win). Complaints name the line.
 *
 * @throws UserError
 */
export function parseJson(text: string, file: string, what: string): unknown {
  const bytes = Buffer.from(text.replace(/^\uFEFF/, ''), 'utf8');
  const lineOf = (offset: number): number => bytes.subarray(0, offset).toString('utf8').split('\n').length;
  try {
    const scanner = new JsonScanner(bytes, MAX_DEPTH);
    refuseDuplicates(scanner, 0);
    scanner.end();
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    const line = error instanceof JsonSyntaxError ? ` (line ${lineOf(error.offset)})` : '';
    throw new UserError(`${what} ${file} is not sound JSON${line}: ${messageOf(error)}`);
  }
}

function refuseDuplicates(scanner: JsonScanner, depth: number): void {
  if (depth > MAX_DEPTH) scanner.fail(`it is nested more than ${MAX_DEPTH} deep`);
  const next = String.fromCharCode(Math.max(0, scanner.peek()));
  if (next === '{') {
    const names = new Set<string>();
    scanner.object((name, offset) => {
      if (names.has(name)) scanner.fail(`the name ${JSON.stringify(name.slice(0, 80))} is given twice in one object`, offset);
      names.add(name);
      refuseDuplicates(scanner, depth + 1);
    });
  } else if (next === '[') scanner.array(() => refuseDuplicates(scanner, depth + 1));
  else scanner.skipValue();
}

/** A value with its place, for checks that read like the schema. */
export class JsonValue {
  constructor(readonly value: unknown, readonly at: string, readonly file: string) {}

  fail(message: string): never {
    throw new UserError(`${this.file}: ${this.at === '' ? 'the document' : this.at} ${message}`);
  }

  /** Own members in a Map, so that names such as `__proto__` are just names. */
  members(): Map<string, JsonValue> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) this.fail(`must be an object, not ${describe(this.value)}`);
    return new Map(Object.entries(this.value).map(([key, value]) => [key, new JsonValue(value, joinKey(this.at, key), this.file)]));
  }

  /** Members of an object that has only these names. */
  object(required: readonly string[], optional: readonly string[]): Map<string, JsonValue> {
    const members = this.members();
    const allowed = [...required, ...optional];
    for (const key of members.keys()) {
      if (!allowed.includes(key)) this.fail(`has no property ${JSON.stringify(key)}.${didYouMean(key, allowed) || ` There are: ${allowed.join(', ')}`}`);
    }
    for (const key of required) if (!members.has(key)) this.fail(`needs the property "${key}"`);
    return members;
  }

  items(): JsonValue[] {
    if (!Array.isArray(this.value)) this.fail(`must be an array, not ${describe(this.value)}`);
    return (this.value as unknown[]).map((value, index) => new JsonValue(value, `${this.at}[${index}]`, this.file));
  }

  string(): string {
    if (typeof this.value !== 'string') this.fail(`must be a string, not ${describe(this.value)}`);
    if (this.value === '') this.fail('must not be empty');
    return this.value as string;
  }

  number(minimum = -Infinity): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) this.fail(`must be a number, not ${describe(this.value)}`);
    if ((this.value as number) < minimum) this.fail(`must be at least ${minimum}`);
    return this.value as number;
  }

  oneOf<T extends string>(allowed: readonly T[]): T {
    if (!allowed.includes(this.value as T)) {
      const hint = typeof this.value === 'string' ? didYouMean(this.value, allowed) : '';
      this.fail(`must be one of ${allowed.join(', ')}, not ${describe(this.value)}.${hint}`);
    }
    return this.value as T;
  }
}

const joinKey = (at: string, key: string): string => {
  const plain = /^[A-Za-z_$][\w$]*$/.test(key);
  return plain ? (at === '' ? key : `${at}.${key}`) : `${at}[${JSON.stringify(key.slice(0, 200))}]`;
};

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  return JSON.stringify(value)?.slice(0, 80) ?? typeof value;
}

/** A record without prototype: safe for names from files. */
export function record<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  const made = Object.create(null) as Record<string, T>;
  for (const [key, value] of entries) made[key] = value;
  return made;
}
