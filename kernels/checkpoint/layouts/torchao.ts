/**
 * torchao tensors flattened for safetensors: `M._weight_qdata`, `M._weight_scale` and, where there are any, `M._weight_zero_point`
 * stand for `M.weight`; the metadata holds under that name JSON with `_type` and `_data`. Read here are the types whose codes are
 * one byte each: Int8Tensor, IntxUnpackedToInt8Tensor and Float8Tensor. Value = (code - zero point) x scale.
 */
import type { DType, JsonValue, TensorInfo } from '../checkpoint';
import { firstProblem, fp8Encoding, isEmpty, MAX_ROW, partProblem, Recognised, SCALE_DTYPES, scaleSuffix, type LayoutRecogniser } from './layout';
import { memberOf, textAt } from './quantization-config';
import { scaledName, scaleGrid } from './scaled';
import { modulePrefix, type TensorTable } from './tensor-table';

const TYPES: ReadonlySet<string> = new Set(['Int8Tensor', 'IntxUnpackedToInt8Tensor', 'Float8Tensor']);
const DTYPES: ReadonlyMap<string, DType> = new Map([['float16', 'F16'], ['bfloat16', 'BF16'], ['float32', 'F32']]);
const MOST_JSON = 65_536;

export const torchao: LayoutRecogniser = {
  id: 'torchao',
  marks: ['_qdata'],
  recognise(tensors) {
    const found = new Recognised('scaled', 'torchao');
    const codes = tensors.endingLike('_qdata');
    if (codes.length === 0) return found;
    const metadata = new Map(tensors.metadata);
    for (const tensor of codes) recogniseOne(tensors, metadata, tensor, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, metadata: ReadonlyMap<string, string>, codes: TensorInfo, found: Recognised): void {
  const prefix = modulePrefix(codes.name);
  const own = /^_(.+)_qdata$/.exec(codes.name.slice(prefix.length))?.[1];
  if (own === undefined) return;
  const described = parsed(metadata.get(prefix + own));
  const type = textAt(described ?? undefined, '_type');
  if (type === null) return;
  const part = (name: string): TensorInfo | null => tensors.get(`${prefix}_${own}_${name}`);
  const [scale, zero] = [part('scale'), part('zero_point')];
  if (!TYPES.has(type) || !scale) {
    found.note(codes, `${prefix}${own} is a torchao ${type.slice(0, 60)}, whose packing is not read; it is shown as it is stored`, 'Save the model with an unpacked torchao layout to see its values');
    return;
  }
  const block = memberOf(memberOf(described ?? undefined, '_data'), 'block_size');
  const sizes = Array.isArray(block) && block.length >= 2 && block.every((size) => typeof size === 'number' && Number.isSafeInteger(size) && size > 0) ? (block as number[]) : null;
  const grid = scaleGrid(codes.shape, scale.shape, sizes && [sizes.at(-2)!, sizes.at(-1)!], sizes?.at(-1) ?? null);
  const problem = firstProblem(
    isEmpty(codes) ? 'it holds no values' : null,
    partProblem('codes', codes, type === 'Float8Tensor' ? ['F8_E4M3', 'F8_E5M2'] : ['I8'], null),
    partProblem('scales', scale, SCALE_DTYPES, null),
    zero && partProblem('zero points', zero, ['I8', 'I32', 'I64', ...SCALE_DTYPES], scale.shape),
    typeof grid === 'string' ? grid : null,
    codes.shape.at(-1)! > MAX_ROW ? `its rows are longer than the ${MAX_ROW} values that are read` : null,
  );
  if (problem || typeof grid === 'string') {
    found.unfit(codes, problem ?? '');
    return;
  }
  const { where, ...options } = grid;
  const encoding = fp8Encoding(codes.dtype);
  const data = memberOf(described ?? undefined, '_data');
  const dtype = DTYPES.get(textAt(memberOf(data, 'dtype'), '_data') ?? '') ?? scale.dtype;
  const bits = /^int([1-8])$/.exec(textAt(memberOf(data, 'target_dtype'), '_data') ?? 'int8')?.[1] ?? '8';
  const label = scaledName(codes.dtype, where, false).replace('int8', `int${bits}`);
  found.add(
    { name: prefix + own, shape: codes.shape, dtype },
    {
      name: `${label} (torchao)`,
      format: where.includes('blocks') ? null : encoding ? `fp8-${encoding}-${where}${scaleSuffix(scale.dtype)}` : `int${bits}-${zero ? 'asym' : 'sym'}-${where}${scaleSuffix(scale.dtype)}`,
      options: { ...options, powers: false },
    },
    { codes, scales: scale, zeros: zero },
    ['act_quant_scale', 'act_quant_zero_point', 'act_pre_scale'].map(part),
  );
}

function parsed(text: string | undefined): JsonValue | null {
  if (text === undefined || text.length > MOST_JSON) return null;
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw error;
  }
}
