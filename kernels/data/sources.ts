/** What inputs are, by their name: an array, a folder of images, a stream of tokens, or a text. */
import { statSync } from 'node:fs';
import { SampleArray } from './arrays';
import type { FileSpec, SampleSource } from './data';
import { openImages } from './images';
import { openText } from './text';
import { openRawTokens, openTokenArray } from './tokens';

/** @throws CheckpointError or Error naming the file and what is wrong */
export async function openSource({ inputs, sequence, tokenizer, preprocess }: FileSpec): Promise<SampleSource> {
  const facts = statSync(inputs, { throwIfNoEntry: false });
  if (facts?.isDirectory()) return openImages(inputs, preprocess);
  if (facts && /\.bin$/i.test(inputs)) return openRawTokens(inputs, sequence);
  if (facts && isText(inputs)) return openText(inputs, tokenizer, sequence);
  return sequence === undefined ? SampleArray.open(inputs) : openTokenArray(inputs, sequence);
}

export const isText = (inputs: string): boolean => /\.(txt|jsonl|md)$/i.test(inputs);
