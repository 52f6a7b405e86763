/** The decoder of every block type. */
import type { BlockDecoder } from './block-codec';
import { decodeIq1M, decodeIq1S, decodeIq2S, decodeIq2Xs, decodeIq2Xxs, decodeIq3S, decodeIq3Xxs } from './decode-iq';
import { decodeQ2_K, decodeQ3_K, decodeQ4_K, decodeQ5_K, decodeQ6_K } from './decode-k';
import { decodeQ1_0, decodeQ2_0, decodeQ4_0, decodeQ4_1, decodeQ5_0, decodeQ5_1, decodeQ8_0, decodeQ8_1, decodeQ8_K } from './decode-simple';
import { decodeIq4Nl, decodeIq4Xs, decodeMxfp4, decodeNvfp4 } from './decode-small-floats';
import { decodeTq1_0, decodeTq2_0 } from './decode-ternary';

const DECODERS: ReadonlyMap<string, BlockDecoder> = new Map([
  ['Q4_0', decodeQ4_0], ['Q4_1', decodeQ4_1], ['Q5_0', decodeQ5_0], ['Q5_1', decodeQ5_1], ['Q8_0', decodeQ8_0], ['Q8_1', decodeQ8_1], ['Q8_K', decodeQ8_K],
  ['Q1_0', decodeQ1_0], ['Q2_0', decodeQ2_0], ['Q2_K', decodeQ2_K], ['Q3_K', decodeQ3_K], ['Q4_K', decodeQ4_K], ['Q5_K', decodeQ5_K], ['Q6_K', decodeQ6_K],
  ['IQ2_XXS', decodeIq2Xxs], ['IQ2_XS', decodeIq2Xs], ['IQ2_S', decodeIq2S], ['IQ3_XXS', decodeIq3Xxs], ['IQ3_S', decodeIq3S], ['IQ1_S', decodeIq1S], ['IQ1_M', decodeIq1M],
  ['IQ4_NL', decodeIq4Nl], ['IQ4_XS', decodeIq4Xs], ['TQ1_0', decodeTq1_0], ['TQ2_0', decodeTq2_0], ['MXFP4', decodeMxfp4], ['NVFP4', decodeNvfp4],
]);

/** @param name of the type as in kernels/checkpoint/ggml-types.ts @throws Error for a type without blocks */
export function blockDecoder(name: string): BlockDecoder {
  const decoder = DECODERS.get(name);
  if (!decoder) throw new Error(`${name} is no block type of ggml`);
  return decoder;
}
