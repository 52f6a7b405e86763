/** The part of a format id that all block-scaled families share: granularity and scale storage. */
import { FormatIdError, type Granularity, type ScaleStorage } from './format';
import { SCALE_STORAGES } from './scale';

export const MAX_GROUP = 65536;

export interface IdTail {
  readonly granularity: Granularity;
  readonly scaleStorage: ScaleStorage;
  /** Canonical text, e.g. `g128-sf16`. */
  readonly text: string;
}

/** Suffixes of scale storage: `s` and the name, except for f32, which is not written. */
const SUFFIXES: ReadonlyMap<string, ScaleStorage> = new Map(
  (Object.keys(SCALE_STORAGES) as ScaleStorage[]).filter((storage) => storage !== 'f32').map((storage) => [`s${storage}`, storage]),
);

/** The tail's grammar, for the grammars of families. */
export const TAIL_GRAMMAR = `[-<tensor|channel|g<n>>][-<${[...SUFFIXES.keys()].join('|')}>]`;

/**
 * Parses `[<tensor|channel|g<n>>][-s<storage>]`; a missing granularity is `unless`.
 * @throws FormatIdError naming the part that is wrong and what is allowed.
 */
export function parseIdTail(id: string, parts: readonly string[], unless: Granularity = { kind: 'channel' }): IdTail {
  let granularity = unless;
  let scaleStorage: ScaleStorage = 'f32';
  const rest = [...parts];
  const first = rest[0];
  if (first !== undefined && !SUFFIXES.has(first)) {
    rest.shift();
    const group = /^g(\d{1,9})$/.exec(first);
    if (first === 'tensor' || first === 'channel') granularity = { kind: first };
    else if (group && Number(group[1]) >= 2 && Number(group[1]) <= MAX_GROUP && !group[1]!.startsWith('0')) granularity = { kind: 'group', size: Number(group[1]) };
    else if (group) throw new FormatIdError(`"${id}": a group has 2 to ${MAX_GROUP} weights, not ${group[1]}`);
    else throw new FormatIdError(`"${id}": "${first}" is not a granularity; use tensor, channel or g<n> (for example g128)`);
  }
  const scale = rest.shift();
  if (scale !== undefined) {
    const storage = SUFFIXES.get(scale);
    if (!storage) throw new FormatIdError(`"${id}": "${scale}" is not understood after the granularity; only a scale storage may follow: ${[...SUFFIXES.keys()].join(', ')}`);
    scaleStorage = storage;
  }
  if (rest.length > 0) throw new FormatIdError(`"${id}": nothing may follow "${scale}"`);
  return { granularity, scaleStorage, text: tailText(granularity, scaleStorage) };
}

/** Canonical text of a tail. */
export function tailText(granularity: Granularity, scaleStorage: ScaleStorage): string {
  return (granularity.kind === 'group' ? `g${granularity.size}` : granularity.kind) + (scaleStorage === 'f32' ? '' : `-s${scaleStorage}`);
}

/** Ids of the family of two-dimensional blocks (block-2d.ts), whatever they begin with. */
export function isTwoDimensional(id: string): boolean {
  return /-b\d+x\d+$/.test(id);
}

/** `per group of 128`, for titles. */
export function granularityTitle(tail: Pick<IdTail, 'granularity' | 'scaleStorage'>): string {
  const { granularity, scaleStorage } = tail;
  const where = granularity.kind === 'tensor' ? 'per tensor' : granularity.kind === 'channel' ? 'per output channel' : `per group of ${granularity.size}`;
  return scaleStorage === 'f32' ? where : `${where}, ${SCALE_STORAGES[scaleStorage].title}`;
}
