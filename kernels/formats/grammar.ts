/** The part of a format id that all block-scaled families share: granularity and scale storage. */
import { FormatIdError, type Granularity, type ScaleStorage } from './format';

export const MAX_GROUP = 65536;

export interface IdTail {
  readonly granularity: Granularity;
  readonly scaleStorage: ScaleStorage;
  /** Canonical text, e.g. `g128-sf16`. */
  readonly text: string;
}

/**
 * Parses `[<tensor|channel|g<n>>][-sf16|-sbf16]`; a missing granularity is `channel`.
 * @throws FormatIdError naming the part that is wrong and what is allowed.
 */
export function parseIdTail(id: string, parts: readonly string[]): IdTail {
  let granularity: Granularity = { kind: 'channel' };
  let scaleStorage: ScaleStorage = 'f32';
  const rest = [...parts];
  const first = rest[0];
  if (first !== undefined && !/^sb?f16$/.test(first)) {
    rest.shift();
    const group = /^g(\d{1,9})$/.exec(first);
    if (first === 'tensor' || first === 'channel') granularity = { kind: first };
    else if (group && Number(group[1]) >= 2 && Number(group[1]) <= MAX_GROUP && !group[1]!.startsWith('0')) granularity = { kind: 'group', size: Number(group[1]) };
    else if (group) throw new FormatIdError(`"${id}": a group has 2 to ${MAX_GROUP} weights, not ${group[1]}`);
    else throw new FormatIdError(`"${id}": "${first}" is not a granularity; use tensor, channel or g<n> (for example g128)`);
  }
  const scale = rest.shift();
  if (scale === 'sf16' || scale === 'sbf16') scaleStorage = scale === 'sf16' ? 'f16' : 'bf16';
  else if (scale !== undefined) throw new FormatIdError(`"${id}": "${scale}" is not understood after the granularity; only sf16 or sbf16 (16-bit scales) may follow`);
  if (rest.length > 0) throw new FormatIdError(`"${id}": nothing may follow "${scale}"`);
  const text = (granularity.kind === 'group' ? `g${granularity.size}` : granularity.kind) + (scaleStorage === 'f32' ? '' : `-s${scaleStorage}`);
  return { granularity, scaleStorage, text };
}

/** `per group of 128`, for titles. */
export function granularityTitle(tail: IdTail): string {
  const { granularity, scaleStorage } = tail;
  const where = granularity.kind === 'tensor' ? 'per tensor' : granularity.kind === 'channel' ? 'per output channel' : `per group of ${granularity.size}`;
  return scaleStorage === 'f32' ? where : `${where}, ${scaleStorage} scales`;
}
