/**
 * Decodes `blocks` blocks that begin at `at` into `out` from `to` on. Bit for bit what ggml's scalar code gives: where a product of
 * its float arithmetic cannot round (scales have 11 bits, codes and block scales few), it is computed in doubles and rounded once
 * when it is stored.
 */
export type BlockDecoder = (bytes: Uint8Array, at: number, blocks: number, out: Float32Array, to: number) => void;

/**
 * Encodes one row, whole blocks, into the start of `out`.
 * @param importance a weight for each value of the row, or null
 */
export type RowEncoder = (x: Float32Array, importance: Float32Array | null, out: Uint8Array) => void;
