/**
 * The tensor types of GGUF files: number, name, values and bytes of a block. Names and numbers as in ggml (`enum ggml_type`,
 * github.com/ggml-org/ggml); the block layouts themselves are in kernels/stored/ggml.
 */
import type { DType } from './checkpoint';

export interface GgmlType {
  /** Number in the file. */
  readonly id: number;
  /** As llama.cpp writes it: `Q4_K`. */
  readonly name: string;
  /** Values of one block; a row is a whole number of blocks. */
  readonly block: number;
  /** Bytes of one block. */
  readonly bytes: number;
  /** Set for plain elements, which need no decoding of blocks. */
  readonly dtype?: DType;
  /**
   * Where the 16-bit fields of a block are, which big-endian files hold swapped. Absent where no program settles what such a
   * file holds: fields that ggml copies byte by byte into wider integers.
   */
  readonly halves?: readonly number[];
}

const plain = (id: number, name: string, bytes: number): GgmlType => ({ id, name, block: 1, bytes, dtype: name as DType });
const blocks = (id: number, name: string, block: number, bytes: number, halves?: readonly number[]): GgmlType => ({ id, name, block, bytes, ...(halves ? { halves } : {}) });

export const GGML_TYPES: readonly GgmlType[] = [
  plain(0, 'F32', 4), plain(1, 'F16', 2),
  blocks(2, 'Q4_0', 32, 18, [0]), blocks(3, 'Q4_1', 32, 20, [0, 2]), blocks(6, 'Q5_0', 32, 22), blocks(7, 'Q5_1', 32, 24), blocks(8, 'Q8_0', 32, 34, [0]), blocks(9, 'Q8_1', 32, 36, [0, 2]),
  blocks(10, 'Q2_K', 256, 84, [80, 82]), blocks(11, 'Q3_K', 256, 110), blocks(12, 'Q4_K', 256, 144, [0, 2]), blocks(13, 'Q5_K', 256, 176, [0, 2]), blocks(14, 'Q6_K', 256, 210, [208]), blocks(15, 'Q8_K', 256, 292),
  blocks(16, 'IQ2_XXS', 256, 66), blocks(17, 'IQ2_XS', 256, 74), blocks(18, 'IQ3_XXS', 256, 98), blocks(19, 'IQ1_S', 256, 50), blocks(20, 'IQ4_NL', 32, 18, [0]),
  blocks(21, 'IQ3_S', 256, 110), blocks(22, 'IQ2_S', 256, 82), blocks(23, 'IQ4_XS', 256, 136),
  plain(24, 'I8', 1), plain(25, 'I16', 2), plain(26, 'I32', 4), plain(27, 'I64', 8), plain(28, 'F64', 8),
  blocks(29, 'IQ1_M', 256, 56), plain(30, 'BF16', 2),
  blocks(34, 'TQ1_0', 256, 54, [52]), blocks(35, 'TQ2_0', 256, 66, [64]), blocks(39, 'MXFP4', 32, 17, []), blocks(40, 'NVFP4', 64, 36, []), blocks(41, 'Q1_0', 128, 18, [0]), blocks(42, 'Q2_0', 64, 18, [0]),
];

/** Types of older files that ggml gave up: their layouts depended on the machine or were never settled. */
export const REMOVED_GGML_TYPES: ReadonlyMap<number, string> = new Map([
  [4, 'Q4_2'], [5, 'Q4_3'], [31, 'Q4_0_4_4'], [32, 'Q4_0_4_8'], [33, 'Q4_0_8_8'], [36, 'IQ4_NL_4_4'], [37, 'IQ4_NL_4_8'], [38, 'IQ4_NL_8_8'],
]);

const byId = new Map(GGML_TYPES.map((type) => [type.id, type]));
const byName = new Map(GGML_TYPES.map((type) => [type.name, type]));

export function ggmlType(id: number): GgmlType | undefined {
  return byId.get(id);
}

/** @param name as in {@link GgmlType.name}; letter case does not matter */
export function ggmlTypeNamed(name: string): GgmlType | undefined {
  return byName.get(name.toUpperCase());
}
