/** Parameters of our own requests, checked on arrival: another client, or a bug in ours, may send anything. */
import { BadRequest } from './errors';

export class Parameters {
  private readonly value: Readonly<Record<string, unknown>>;

  constructor(raw: unknown, private readonly method: string) {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new BadRequest(`${method}: parameters must be an object`);
    this.value = raw as Record<string, unknown>;
  }

  text(key: string): string {
    const value = this.optionalText(key);
    if (value === undefined) throw new BadRequest(`${this.method}: "${key}" is required and must be text`);
    return value;
  }

  optionalText(key: string): string | undefined {
    const value = this.value[key];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string') throw new BadRequest(`${this.method}: "${key}" must be text`);
    return value;
  }

  optionalNumber(key: string): number | undefined {
    const value = this.value[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new BadRequest(`${this.method}: "${key}" must be a number`);
    return value;
  }

  /** False when it is absent. */
  flag(key: string): boolean {
    const value = this.value[key] ?? false;
    if (typeof value !== 'boolean') throw new BadRequest(`${this.method}: "${key}" must be true or false`);
    return value;
  }

  optionalTexts(key: string): readonly string[] | undefined {
    const value = this.value[key];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) throw new BadRequest(`${this.method}: "${key}" must be a list of texts`);
    return value as string[];
  }

  optionalOneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const value = this.optionalText(key);
    if (value === undefined) return undefined;
    if (!(allowed as readonly string[]).includes(value)) throw new BadRequest(`${this.method}: "${key}" must be one of ${allowed.join(', ')}`);
    return value as T;
  }
}

/** Leaves out what was not given, as the exact optional properties of our requests want it. */
export function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
