/**
 * The block types of GGUF files: rows of blocks that ggml and llama.cpp read. What is stored is exactly what a GGUF file holds.
 * A row that is no whole number of blocks, which a GGUF file cannot hold, is continued with its own values up to the next block.
 */
import { ggmlTypeNamed, type GgmlType } from '../checkpoint/ggml-types';
import { blockDecoder } from '../numerics/ggml/decoders';
import { encodeGgmlRow } from '../numerics/ggml/encoders';
import { FormatIdError, type FormatFamily, type FormatTraits, type NumberFormat, type StoredField, type WeightView } from './format';
import { heldFormat } from './held-format';
import { storageOfFields } from './storage';

interface Codes {
  readonly title: string;
  /** Bits of one code, rounded where several values share bits. */
  readonly codeBits: number;
  /** Bits of a block that say something about single values; the rest are scales and minima. */
  readonly blockCodeBits: number;
  /** Values of one scale. */
  readonly group: number;
  readonly monotone?: boolean;
  readonly signSymmetric?: boolean;
  readonly idempotent?: boolean;
}

const closed = { monotone: true, signSymmetric: true, idempotent: true };

const TYPES: ReadonlyMap<string, Codes> = new Map<string, Codes>([
  ['q4_0', { title: '4 bits, a scale for 32 values', codeBits: 4, blockCodeBits: 128, group: 32, ...closed }],
  ['q4_1', { title: '4 bits, scale and minimum for 32 values', codeBits: 4, blockCodeBits: 128, group: 32, monotone: true }],
  ['q5_0', { title: '5 bits, a scale for 32 values', codeBits: 5, blockCodeBits: 160, group: 32, ...closed }],
  ['q5_1', { title: '5 bits, scale and minimum for 32 values', codeBits: 5, blockCodeBits: 160, group: 32, monotone: true }],
  ['q8_0', { title: '8 bits, a scale for 32 values', codeBits: 8, blockCodeBits: 256, group: 32, ...closed }],
  ['q2_k', { title: '2 bits, 4-bit scales and minima for 16 values', codeBits: 2, blockCodeBits: 512, group: 16, monotone: true }],
  ['q3_k', { title: '3 bits, 6-bit scales for 16 values', codeBits: 3, blockCodeBits: 768, group: 16, monotone: true }],
  ['q4_k', { title: '4 bits, 6-bit scales and minima for 32 values', codeBits: 4, blockCodeBits: 1024, group: 32, monotone: true }],
  ['q5_k', { title: '5 bits, 6-bit scales and minima for 32 values', codeBits: 5, blockCodeBits: 1280, group: 32, monotone: true }],
  ['q6_k', { title: '6 bits, 8-bit scales for 16 values', codeBits: 6, blockCodeBits: 1536, group: 16, monotone: true }],
  ['iq1_s', { title: 'code book of eight ternary values, 3-bit scales for 32 values', codeBits: 1, blockCodeBits: 352, group: 32 }],
  ['iq1_m', { title: 'code book of eight ternary values, 3-bit scales for 16 values', codeBits: 1, blockCodeBits: 352, group: 16 }],
  ['iq2_xxs', { title: 'code book of 256 magnitudes of eight values, 4-bit scales for 32 values', codeBits: 2, blockCodeBits: 480, group: 32 }],
  ['iq2_xs', { title: 'code book of 512 magnitudes of eight values, 4-bit scales for 16 values', codeBits: 2, blockCodeBits: 512, group: 16 }],
  ['iq2_s', { title: 'code book of 1,024 magnitudes of eight values, 4-bit scales for 16 values', codeBits: 2, blockCodeBits: 576, group: 16 }],
  ['iq3_xxs', { title: 'code book of 256 magnitudes of four values, 4-bit scales for 32 values', codeBits: 3, blockCodeBits: 736, group: 32 }],
  ['iq3_s', { title: 'code book of 512 magnitudes of four values, 4-bit scales for 32 values', codeBits: 3, blockCodeBits: 832, group: 32 }],
  ['iq4_nl', { title: '16 values that are not evenly spaced, a scale for 32 values', codeBits: 4, blockCodeBits: 128, group: 32, monotone: true }],
  ['iq4_xs', { title: '16 values that are not evenly spaced, 6-bit scales for 32 values', codeBits: 4, blockCodeBits: 1024, group: 32, monotone: true }],
  ['tq1_0', { title: 'ternary, five values a byte, a scale for 256 values', codeBits: 2, blockCodeBits: 416, group: 256, ...closed }],
  ['tq2_0', { title: 'ternary, four values a byte, a scale for 256 values', codeBits: 2, blockCodeBits: 512, group: 256, ...closed }],
  ['mxfp4', { title: 'MXFP4 as ggml lays it out', codeBits: 4, blockCodeBits: 128, group: 32, monotone: true, signSymmetric: true, idempotent: true }],
  ['nvfp4', { title: 'NVFP4 as ggml lays it out, without the scale of the tensor', codeBits: 4, blockCodeBits: 256, group: 16, monotone: true, signSymmetric: true }],
  ['q1_0', { title: 'signs and the mean magnitude of 128 values', codeBits: 1, blockCodeBits: 128, group: 128, monotone: true }],
  ['q2_0', { title: '2 bits, a scale for 64 values', codeBits: 2, blockCodeBits: 128, group: 64, ...closed }],
]);

const rowBlocks = (view: WeightView, type: GgmlType): number => Math.ceil(view.cols / type.block);

/** Rows of blocks, as a GGUF file holds them. @param importance a weight for each column, or null */
export function encodeGgufRows(type: GgmlType, weights: Float32Array, view: WeightView, importance: Float32Array | null = null, poll: () => void = () => undefined): Uint8Array {
  const blocks = rowBlocks(view, type);
  const rowBytes = blocks * type.bytes;
  const bytes = new Uint8Array(view.rows * rowBytes);
  const length = blocks * type.block;
  const whole = length === view.cols;
  const padded = whole ? null : new Float32Array(length);
  for (let row = 0; row < view.rows; row += 1) {
    if (row % 16 === 0) poll();
    const values = weights.subarray(row * view.cols, (row + 1) * view.cols);
    if (padded) for (let i = 0; i < length; i += 1) padded[i] = values[i % view.cols]!;
    encodeGgmlRow(type.name, padded ?? values, importance, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  }
  return bytes;
}

/** Inverse of {@link encodeGgufRows}. */
export function decodeGgufRows(type: GgmlType, bytes: Uint8Array, view: WeightView): Float32Array {
  const blocks = rowBlocks(view, type);
  const decode = blockDecoder(type.name);
  const values = new Float32Array(view.rows * view.cols);
  if (blocks * type.block === view.cols) {
    decode(bytes, 0, view.rows * blocks, values, 0);
    return values;
  }
  const row = new Float32Array(blocks * type.block);
  for (let r = 0; r < view.rows; r += 1) {
    decode(bytes, r * blocks * type.bytes, blocks, row, 0);
    values.set(row.subarray(0, view.cols), r * view.cols);
  }
  return values;
}

function ggufFormat(name: string, { title, codeBits, blockCodeBits, group, monotone = false, signSymmetric = false, idempotent = false }: Codes): NumberFormat {
  const type = ggmlTypeNamed(name)!;
  const traits: FormatTraits = { monotone, signSymmetric, idempotent: idempotent || 'scales are searched together with the codes, so decoded values may find other scales' };
  const bytesOf = (view: WeightView): number => view.rows * rowBlocks(view, type) * type.bytes;
  // Codes and scales are interleaved in the blocks: this says how many bits are which.
  const fields = (view: WeightView): StoredField[] => {
    const blocks = view.rows * rowBlocks(view, type);
    return [
      { name: 'codes', part: 'code', bits: 1, count: blocks * blockCodeBits },
      { name: 'scales', part: 'scale', bits: 1, count: blocks * (8 * type.bytes - blockCodeBits) },
    ];
  };
  const format = heldFormat({
    id: `gguf-${name}`, family: 'gguf', title: `GGUF ${type.name}: ${title}`, catalogue: [], codeBits, granularity: { kind: 'group', size: group }, holds: 'row', traits,
    fields: (view) => [{ name: 'blocks', part: 'code', bits: 8, count: bytesOf(view) }],
    encode: (weights, view, _rule, poll) => [encodeGgufRows(type, weights, view, null, poll)],
    decode: ([bytes], view) => decodeGgufRows(type, Uint8Array.from(bytes!), view),
  });
  const storage = (view: WeightView) => storageOfFields(fields(view), view);
  return {
    ...format, fields, storage, nominalBitsPerWeight: storage({ rows: 1, cols: 4096 }).bitsPerWeight,
    pack: ({ parts }) => Uint8Array.from(parts[0]!),
    unpack: (bytes, view) => {
      if (bytes.length !== bytesOf(view)) throw new RangeError(`${bytes.length} bytes are not the ${bytesOf(view)} of ${view.rows} rows of ${type.name}`);
      const blocks = bytes.slice();
      return { format: format.id, view, codes: blocks, scales: new Float32Array(0), zeroPoints: null, parts: [blocks] };
    },
  };
}

export const ggufFamily: FormatFamily = {
  name: 'gguf',
  title: 'Block types of GGUF (llama.cpp)',
  grammar: `gguf-<${[...TYPES.keys()].join('|')}>`,
  listed: [...TYPES.keys()].map((name) => `gguf-${name}`),
  layout: 'per row, block after block: scales (and minima) with the codes of 32 to 256 values, as ggml-common.h lays them out',
  oracle: 'ggml: decode 0 ULP; encode byte for byte, but for IQ3_S behind blocks of zeros and IQ2_XXS with odd numbers of signs, where ggml loses precision',
  source: 'ggml (github.com/ggml-org/ggml), src/ggml-common.h and src/ggml-quants.c',
  ladders: [['gguf-q4_0', 'gguf-q5_0', 'gguf-q8_0'], ['gguf-q2_k', 'gguf-q3_k', 'gguf-q4_k', 'gguf-q5_k', 'gguf-q6_k']],
  parse(id) {
    if (!id.startsWith('gguf-')) return null;
    const name = id.slice(5);
    const codes = TYPES.get(name);
    if (!codes) throw new FormatIdError(`"${id.slice(0, 80)}": the types of gguf are ${[...TYPES.keys()].join(', ')}`);
    return ggufFormat(name, codes);
  },
};
