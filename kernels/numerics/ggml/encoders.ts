/** The encoder of every block type, and rows of them. */
import type { RowEncoder } from './block-codec';
import { encodeIq2S, encodeIq2Xs, encodeIq2Xxs, encodeIq3S, encodeIq3Xxs } from './encode-iq';
import { encodeIq1M, encodeIq1S } from './encode-iq1';
import { encodeIq4Nl, encodeIq4Xs } from './encode-iq4';
import { encodeQ2_K, encodeQ3_K, encodeQ4_K, encodeQ5_K, encodeQ6_K } from './encode-k';
import { encodeQ1_0, encodeQ2_0, encodeQ4_0, encodeQ4_1, encodeQ5_0, encodeQ5_1, encodeQ8_0, encodeQ8_1, encodeQ8_K } from './encode-simple';
import { encodeMxfp4, encodeNvfp4 } from './encode-small-floats';
import { encodeTq1_0, encodeTq2_0 } from './encode-ternary';

const ENCODERS: ReadonlyMap<string, RowEncoder> = new Map([
  ['Q4_0', encodeQ4_0], ['Q4_1', encodeQ4_1], ['Q5_0', encodeQ5_0], ['Q5_1', encodeQ5_1], ['Q8_0', encodeQ8_0], ['Q8_1', encodeQ8_1], ['Q8_K', encodeQ8_K],
  ['Q1_0', encodeQ1_0], ['Q2_0', encodeQ2_0], ['Q2_K', encodeQ2_K], ['Q3_K', encodeQ3_K], ['Q4_K', encodeQ4_K], ['Q5_K', encodeQ5_K], ['Q6_K', encodeQ6_K],
  ['IQ2_XXS', encodeIq2Xxs], ['IQ2_XS', encodeIq2Xs], ['IQ2_S', encodeIq2S], ['IQ3_XXS', encodeIq3Xxs], ['IQ3_S', encodeIq3S], ['IQ1_S', encodeIq1S], ['IQ1_M', encodeIq1M],
  ['IQ4_NL', encodeIq4Nl], ['IQ4_XS', encodeIq4Xs], ['TQ1_0', encodeTq1_0], ['TQ2_0', encodeTq2_0], ['MXFP4', encodeMxfp4], ['NVFP4', encodeNvfp4],
]);

/** @param name of the type as in kernels/checkpoint/ggml-types.ts @throws Error for a type without blocks */
export function rowEncoder(name: string): RowEncoder {
  const encoder = ENCODERS.get(name);
  if (!encoder) throw new Error(`${name} is no block type of ggml`);
  return encoder;
}

/** Types whose scales are no half floats: they hold values of any size. */
const ANY_SIZE: ReadonlySet<string> = new Set(['MXFP4', 'NVFP4', 'Q8_K']);
/** Beyond it no type with half scales has a value, and the searches would overflow. */
const LARGEST = 1e8;

/**
 * Encodes one row of whole blocks. NaN and infinities count as zero, and what no scale reaches is cut.
 * @param importance a weight for each value, or null
 */
export function encodeGgmlRow(name: string, x: Float32Array, importance: Float32Array | null, out: Uint8Array): void {
  const most = ANY_SIZE.has(name) ? Infinity : LARGEST;
  let sane = true;
  for (let i = 0; i < x.length && sane; i += 1) sane = Math.abs(x[i]!) < most;
  const values = sane ? x : x.map((value) => (Number.isFinite(value) ? Math.max(-most, Math.min(most, value)) : 0));
  rowEncoder(name)(values, importance, out);
}
