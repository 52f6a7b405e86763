import type { ByteSource } from './byte-source';
import { CheckpointError } from './checkpoint';

const LOOKED_AT = 2 ** 16;
const REPLACEMENT = Buffer.from([0xef, 0xbf, 0xbd]);
const AGAIN = 'Copy or download it again in binary mode';

/**
 * A refusal that says what happened to the file, where its bytes show that a program took it for text; else null. A sound file may
 * hold the same bytes, so this is asked only about a file that was refused.
 */
export function damagedAsText(source: ByteSource, refusal: CheckpointError): CheckpointError | null {
  const head = source.read(0, Math.min(LOOKED_AT, source.size));
  const found = replacement(head) ?? carriageReturns(head);
  if (!found) return null;
  const message = `the file was treated as text and damaged: it holds ${found.what} where other bytes were`;
  return new CheckpointError({ ...refusal.problem, message: `${message}; ${refusal.problem.message}`, offset: refusal.problem.offset ?? found.at, fix: AGAIN }, source.path);
}

/** Replacement characters in what is UTF-8 throughout, as the lengths and numbers of a GGUF header hardly are. */
function replacement(head: Buffer): { what: string; at: number } | null {
  const at = head.indexOf(REPLACEMENT);
  if (at < 0) return null;
  // The head may end inside a character.
  const whole = head.subarray(0, head.length - 3);
  const characters = whole.toString('utf8').split('\ufffd').length - 1;
  let marks = 0;
  for (let i = whole.indexOf(REPLACEMENT); i >= 0; i = whole.indexOf(REPLACEMENT, i + 3)) marks++;
  return characters <= marks + 1 ? { what: 'replacement characters (ef bf bd)', at } : null;
}

/** Line feeds that all have a carriage return before them. */
function carriageReturns(head: Buffer): { what: string; at: number } | null {
  let feeds = 0;
  for (let i = head.indexOf(10); i >= 0; i = head.indexOf(10, i + 1)) {
    if (head[i - 1] !== 13) return null;
    feeds++;
  }
  return feeds >= 3 ? { what: 'carriage returns before line feeds', at: head.indexOf(10) - 1 } : null;
}
