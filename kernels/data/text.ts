/** Texts as token ids, by the tokenizer.json that is published beside a model. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import type { SampleSource } from './data';
import { DEFAULT_SEQUENCE, tokenSamples } from './tokens';

/** Bytes of text that are read: beyond that a figure hardly changes, and tokenizing takes longer than running. */
const MOST_BYTES = 4 * 2 ** 20;

/**
 * @param file .txt, or .jsonl with an object of a member `text` (or a string) per line
 * @throws Error when the text or the tokenizer cannot be read, or there is too little text
 */
export function openText(file: string, tokenizer: string | undefined, sequence = DEFAULT_SEQUENCE): SampleSource {
  if (tokenizer === undefined) throw new Error(`${file} is text, which needs a tokenizer: name the model's tokenizer.json as "tokenizer" beside "inputs"`);
  const text = readText(file);
  const encode = openTokenizer(tokenizer);
  return tokenSamples(file, encode(/\.jsonl$/i.test(file) ? linesOf(text, file).join('\n') : text), sequence);
}

function openTokenizer(file: string): (text: string) => number[] {
  let made: Tokenizer;
  try {
    made = new Tokenizer(JSON.parse(readFileSync(file, 'utf8')) as object, {});
  } catch (error) {
    throw new Error(`${file} cannot be used as a tokenizer: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, { cause: error });
  }
  return (text) => made.encode(text, { add_special_tokens: false }).ids;
}

function readText(file: string): string {
  const handle = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(handle).size, MOST_BYTES));
    const text = bytes.subarray(0, readSync(handle, bytes, 0, bytes.length, 0)).toString('utf8');
    // The last character may have been cut through.
    return bytes.length === MOST_BYTES ? text.replace(/\uFFFD+$/, '') : text;
  } finally { closeSync(handle); }
}

function linesOf(text: string, file: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.flatMap((line, i) => {
    try {
      const value = JSON.parse(line) as unknown;
      const found = typeof value === 'string' ? value : (value as { text?: unknown } | null)?.text;
      if (typeof found === 'string') return [found];
    } catch {
      // A last line that the limit cut through is no fault of the file.
      if (i === lines.length - 1 && i > 0) return [];
    }
    throw new Error(`${file}, line ${i + 1}: neither a JSON text nor an object with a text in "text"`);
  });
}
