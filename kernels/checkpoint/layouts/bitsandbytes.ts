/**
 * bitsandbytes 4-bit (QLoRA, 2305.14314): `W` holds two codes a byte along the flattened weight, `W.absmax` a scale for each block,
 * `W.quant_map` the 16 values, `W.quant_state.bitsandbytes__nf4` (or fp4) JSON with the shape, type and block size. With nested
 * quantization absmax are bytes: `W.nested_quant_map`[byte] x `W.nested_absmax`[block of 256] + nested_offset.
 */
import { DTYPE_BITS, type DType, type JsonValue, type TensorInfo } from '../checkpoint';
import { firstProblem, partProblem, Recognised, type LayoutRecogniser } from './layout';
import { memberOf, numberAt, textAt } from './quantization-config';
import { soundShape } from './small-tensors';
import type { TensorTable } from './tensor-table';

const DTYPES: ReadonlyMap<string, DType> = new Map([['float16', 'F16'], ['bfloat16', 'BF16'], ['float32', 'F32']]);

export const bitsandbytes: LayoutRecogniser = {
  id: 'bitsandbytes',
  marks: ['absmax'],
  recognise(tensors) {
    const found = new Recognised('bitsandbytes');
    for (const absmax of tensors.ending('absmax')) {
      const codes = tensors.get(absmax.name.slice(0, -'.absmax'.length));
      if (codes) recogniseOne(tensors, codes, absmax, found);
    }
    return found;
  },
};

function recogniseOne(tensors: TensorTable, codes: TensorInfo, absmax: TensorInfo, found: Recognised): void {
  const part = (name: string): TensorInfo | null => tensors.get(`${codes.name}.${name}`);
  const types = ['nf4', 'fp4'].filter((type) => part(`quant_state.bitsandbytes__${type}`));
  if (types.length !== 1) return;
  const stateTensor = part(`quant_state.bitsandbytes__${types[0]}`)!;
  const state = stateOf(tensors, stateTensor);
  const shapeMember = memberOf(state ?? undefined, 'shape');
  const shape = soundShape(Array.isArray(shapeMember) ? shapeMember : null);
  const dtype = DTYPES.get(textAt(state ?? undefined, 'dtype') ?? '');
  const block = numberAt(state ?? undefined, 'blocksize');
  const [map, nestedAbsmax, nestedMap] = [part('quant_map'), part('nested_absmax'), part('nested_quant_map')];
  const nestedBlock = numberAt(state ?? undefined, 'nested_blocksize');
  const nestedOffset = numberAt(state ?? undefined, 'nested_offset');
  if (!state || !shape || !dtype || block === null || !Number.isSafeInteger(block) || block < 2 || block > 65536 || block % 2 !== 0) {
    found.unfit(codes, 'its quant_state holds no sound shape, type and block size');
    return;
  }
  const weights = shape.reduce((product, dim) => product * dim, 1);
  const blocks = Math.ceil(weights / block);
  const size = codes.shape.reduce((product, dim) => product * dim, 1) * (DTYPE_BITS[codes.dtype] / 8);
  const nested = nestedAbsmax !== null || absmax.dtype === 'U8';
  const problem = firstProblem(
    size === Math.ceil(weights / 2) ? null : `${size} bytes hold no ${weights} codes`,
    codes.encoding || codes.quantizer || !codes.data || DTYPE_BITS[codes.dtype] % 8 !== 0 ? 'its codes cannot be read' : null,
    partProblem('block scales', absmax, nested ? ['U8'] : ['F32', 'F16', 'BF16'], [blocks]),
    map ? partProblem('values', map, ['F32', 'F16', 'BF16'], [16]) : 'its quant_map is missing',
    !nested ? null : !nestedAbsmax || !nestedMap || nestedOffset === null || nestedBlock === null || !Number.isSafeInteger(nestedBlock) || nestedBlock < 1 ? 'its nested scales are incomplete'
      : firstProblem(partProblem('nested scales', nestedAbsmax, ['F32', 'F16', 'BF16'], [Math.ceil(blocks / nestedBlock)]), partProblem('nested values', nestedMap, ['F32', 'F16', 'BF16'], [256])),
  );
  if (problem) {
    found.unfit(codes, problem);
    return;
  }
  const rowWise = shape.length < 2 || shape.slice(1).reduce((product, dim) => product * dim, 1) % block === 0;
  found.add(
    { name: codes.name, shape, dtype },
    {
      name: `${types[0]} g${block}${nested ? ' nested scales' : ''} (bitsandbytes)`,
      // Blocks run over the ends of rows that they do not divide, which no format of ours does.
      format: rowWise && !nested ? `${types[0]}-g${block}` : null,
      options: { block, ...(nested ? { nestedBlock, nestedOffset } : {}) },
    },
    { codes, scales: absmax, map, nestedScales: nestedAbsmax, nestedMap },
    [stateTensor],
  );
}

function stateOf(tensors: TensorTable, tensor: TensorInfo): JsonValue | null {
  const bytes = tensor.dtype === 'U8' ? tensors.contents(tensor) : null;
  if (!bytes) return null;
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonValue;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw error;
  }
}
