/**
 * Weights of linear layers as MatMulNBits of onnxruntime (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md):
 * unsigned codes in rows of outputs, in blocks along the inputs, with a scale and, where they are asymmetric, a zero point each.
 */
import { encodeFloats } from '../numerics/codecs';
import type { GraphNode } from '../graph/graph';
import { onnxTypeBits, type OnnxType } from '../graph/onnx-types';
import type { Product } from '../graph/products';
import type { OnnxInitializer } from '../graph/write-onnx';
import { blocksOf, CodePacker, eachRow, hasBlocks, scalesOf, type PlannedWeight } from './export-codes';
import type { EntryContext, PackableWeight } from './export-entries';

export const NBITS_DOMAIN = 'com.microsoft';

export interface NBitsPlan {
  readonly bits: 2 | 4 | 8;
  readonly block: number;
  readonly scaleType: 'F32' | 'F16';
  /** The format's own blocks are these: no scale is written more than once. */
  readonly exact: boolean;
}

const [LEAST_BLOCK, MOST_BLOCK] = [16, 256];
/** Floating-point compute: `accuracy_level` 4 would round activations to 8 bits. */
const FLOAT_COMPUTE = 1;

/** @returns how the weight is stored, or a sentence why MatMulNBits cannot hold it, with what it could */
export function nBitsPlan(weight: PlannedWeight, type: OnnxType, products: readonly Product[] | string): NBitsPlan | string {
  const { format, weight: { layout } } = weight;
  if (typeof products === 'string') return `it is no matrix of linear layers alone (${products}); the qdq layout holds weights of any operator`;
  if (!hasBlocks(weight) || weight.format.element.kind !== 'int' || format.codeBits > 8) return `${format.id} is no integer format of up to 8 bits, which is what MatMulNBits reads (int4-sym-g32, int8-asym-g128)`;
  const scaleType = type === 'F32' ? 'F32' : type === 'F16' && weight.format.scaleStorage === 'f16' ? 'F16' : null;
  if (scaleType === null) return `it is ${type} in the model, and MatMulNBits takes scales of that type${type === 'F16' ? ': use a format with them (int4-sym-g32-sf16)' : ' only if it is F32 or F16; save the model in float32'}`;
  const bits = format.codeBits <= 2 ? 2 : format.codeBits <= 4 ? 4 : 8;
  const { size, perRow } = blocksOf(weight);
  // Where one scale holds for a whole row, blocks of any length say so.
  if (perRow <= 1) return { bits, scaleType, block: Math.min(MOST_BLOCK, Math.max(LEAST_BLOCK, 2 ** Math.ceil(Math.log2(layout.cols)))), exact: perRow === 1 && layout.cols <= MOST_BLOCK };
  let block = LEAST_BLOCK / 2;
  while (block < MOST_BLOCK && size % (2 * block) === 0) block *= 2;
  if (block < LEAST_BLOCK || size % block !== 0) return `groups of ${size} inputs are no blocks of MatMulNBits, whose lengths are powers of two from ${LEAST_BLOCK} to ${MOST_BLOCK} (${format.id.replace(/-g\d+/, '-g32')}); the qdq layout holds groups of any length`;
  return { bits, scaleType, block, exact: block === size };
}

/** What stands in a graph for the weight and its products: initializers, and the nodes in place of others by position (none for a Transpose that is not needed any more). */
export function nBitsStored(plan: NBitsPlan, weight: PackableWeight, base: string, products: readonly Product[], modules: readonly GraphNode[], fresh: (wanted: string) => string, context: EntryContext): { codes: string; initializers: OnnxInitializer[]; replaced: Map<number, GraphNode[]> } {
  const { bits, block } = plan;
  const { rows, cols } = weight.weight.layout;
  const { size, perRow } = blocksOf(weight);
  const blocks = Math.ceil(cols / block);
  const zeroPoints = weight.scales?.zeroPoints ?? null;
  const [codes, scales] = [fresh(`${base}_Q${bits}G${block}`), fresh(`${base}_scales`)];
  const zeros = zeroPoints === null ? null : fresh(`${base}_zero_points`);
  const offset = zeroPoints === null ? 2 ** (bits - 1) : 0;
  const blockOf = (row: number, at: number): number => (perRow === 0 ? 0 : row * perRow + Math.floor((at * block) / size));
  const initializers: OnnxInitializer[] = [
    {
      name: codes, type: 'U8', shape: [rows, blocks, (block * bits) / 8],
      async write(sink) {
        const row = new Int32Array(blocks * block);
        const packer = new CodePacker(bits, offset);
        await eachRow(weight, context, (given) => { row.set(given); sink(packer.push(row)); });
      },
    },
    {
      name: scales, type: plan.scaleType, shape: [rows, blocks],
      write(sink) {
        const own = scalesOf(weight);
        const values = Float32Array.from({ length: rows * blocks }, (_, i) => own[blockOf(Math.floor(i / blocks), i % blocks)]!);
        const bytes = new Uint8Array((values.length * onnxTypeBits(plan.scaleType)) / 8);
        encodeFloats(plan.scaleType, values, values.length, bytes);
        sink(bytes);
      },
    },
    ...(zeros === null ? [] : [{
      name: zeros, type: 'U8' as const, shape: [rows, Math.ceil((blocks * bits) / 8)],
      write(sink: (bytes: Uint8Array) => void) {
        for (let row = 0; row < rows; row += 1) {
          const packer = new CodePacker(bits, 0);
          sink(packer.push(Array.from({ length: blocks }, (_, at) => zeroPoints![blockOf(row, at)]!)));
          sink(packer.end());
        }
      },
    }]),
  ];
  const replaced = new Map<number, GraphNode[]>();
  for (const { at, input, output, addend, turns } of products) {
    for (const turn of turns) replaced.set(turn, []);
    const { attributes: _attributes, domain: _domain, ...from } = modules[at]!;
    const product = addend === null ? output : fresh(`${output}/product`);
    replaced.set(at, [
      {
        ...from, op: 'MatMulNBits', domain: NBITS_DOMAIN, inputs: [input, codes, scales, ...(zeros === null ? [] : [zeros])], outputs: [product],
        attributes: { K: { int: cols }, N: { int: rows }, bits: { int: bits }, block_size: { int: block }, accuracy_level: { int: FLOAT_COMPUTE } },
      },
      // Older versions of the operator have no bias.
      ...(addend === null ? [] : [{ ...from, op: 'Add', inputs: [product, addend], outputs: [output] }]),
    ]);
  }
  return { codes, initializers, replaced };
}
