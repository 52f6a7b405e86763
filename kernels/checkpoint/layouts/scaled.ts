/**
 * 8-bit codes of one byte with scales beside them: `weight` I8 or F8 with `weight_scale` (compressed-tensors int-, float- and
 * naive-quantized, ModelOpt, FBGEMM), `weight_scale_inv` (DeepSeek: 128 x 128 blocks), `scale_weight` (diffusion models) or
 * `scale`; scales of powers of two (U8 or E8M0) make it MXFP8. Value = code x scale for all of them. `..._scale_inv` alike for
 * the experts that are one tensor. bitsandbytes int8: `weight` I8 with `SCB`, value = code x SCB / 127.
 */
import type { DType, JsonValue, TensorInfo } from '../checkpoint';
import { firstProblem, fp8Encoding, isEmpty, MAX_ROW, partProblem, Recognised, SCALE_DTYPES, scaleSuffix, type LayoutRecogniser } from './layout';
import { memberOf, numberAt, objectAt } from './quantization-config';
import { modulePrefix, type TensorTable } from './tensor-table';

const CODE_DTYPES: readonly DType[] = ['I8', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'];

export const scaled: LayoutRecogniser = {
  id: 'scaled',
  marks: ['_scale', '_scale_inv', 'scale_weight', 'scale', 'SCB'],
  recognise(tensors, config) {
    const found = new Recognised('scaled', '8-bit');
    const blocks = blockSizes(config);
    for (const [end, base] of SCALES) {
      for (const scale of end.startsWith('_') ? tensors.endingLike(end) : tensors.ending(end)) {
        const codes = tensors.get(base(scale.name));
        if (codes && CODE_DTYPES.includes(codes.dtype)) recogniseOne(tensors, codes, scale, blocks, found);
      }
    }
    for (const scb of tensors.ending('SCB')) {
      const codes = tensors.get(scb.name.endsWith('.weight.SCB') ? scb.name.slice(0, -4) : `${modulePrefix(scb.name)}weight`);
      if (codes?.dtype === 'I8') recogniseScb(tensors, codes, scb, found);
    }
    return found;
  },
};

/** How scales are called, with the name of the codes that they belong to. */
const SCALES: readonly (readonly [end: string, base: (name: string) => string])[] = [
  ['_scale_inv', (name) => name.slice(0, -'_scale_inv'.length)],
  ['_scale', (name) => name.slice(0, -'_scale'.length)],
  ['scale_weight', (name) => `${modulePrefix(name)}weight`],
  ['scale', (name) => `${modulePrefix(name)}weight`],
];

/** Where scales stand in a weight seen as batch x rows x cols: a scale for each rowBlock x colBlock. */
export interface ScaleGrid {
  readonly rowsPerBatch: number;
  readonly scaleRowsPerBatch: number;
  readonly rowBlock: number;
  readonly colBlock: number;
  readonly scaleCols: number;
  /** One set of scales for all of a batch. */
  readonly shared: boolean;
  /** `tensor`, `channel`, `g128`, `128x128 blocks`. */
  readonly where: string;
}

/**
 * Fits the shape of scales to that of codes. A dimension has one scale for each index, one for all, or one for each block.
 * @param blocks block sizes of the last two dimensions that the settings name, else what the shapes say (or 128, of both)
 * @returns a sentence when they do not fit
 */
export function scaleGrid(shape: readonly number[], scaleShape: readonly number[], blocks: readonly [rows: number, cols: number] | null, group: number | null): ScaleGrid | string {
  const wrong = `its scales have the shape [${scaleShape.join(', ')}], which does not fit [${shape.join(', ')}]`;
  if (shape.length < 2) return 'it is no matrix';
  const elements = scaleShape.reduce((product, dim) => product * dim, 1);
  // Beyond three dimensions (kernels of convolutions) only scales for each output channel are known.
  const dims = shape.length > 3 ? [shape[0]!, shape.slice(1).reduce((product, dim) => product * dim, 1)] : [...shape];
  let grid = [...scaleShape];
  if (elements === 1) grid = dims.map(() => 1);
  else if (shape.length > 3) grid = elements === shape[0] ? [elements, 1] : grid;
  while (grid.length < dims.length) grid.push(1);
  if (grid.length !== dims.length) return wrong;
  const cols = dims.at(-1)!;
  const rows = dims.at(-2)!;
  const batch = dims.length === 3 ? dims[0]! : 1;
  const [scaleRows, scaleCols] = [grid.at(-2)!, grid.at(-1)!];
  const shared = dims.length === 3 && grid[0] === 1;
  if (dims.length === 3 && grid[0] !== 1 && grid[0] !== batch) return wrong;
  const blockOf = (dim: number, count: number, said: number | null, even: boolean): number | null => {
    if (count === 1) return dim;
    if (count === dim) return 1;
    for (const size of [said, 128]) if (size !== null && size > 0 && Math.ceil(dim / size) === count) return size;
    return even && count > 0 && dim % count === 0 ? dim / count : null;
  };
  const rowBlock = blockOf(rows, scaleRows, blocks?.[0] ?? null, false);
  const perRow = scaleRows === rows || scaleRows === 1;
  const colBlock = blockOf(cols, scaleCols, perRow ? group ?? blocks?.[1] ?? null : blocks?.[1] ?? null, perRow);
  if (rowBlock === null || colBlock === null) return wrong;
  const where = elements === 1 ? 'tensor' : rowBlock === 1 ? (colBlock === cols ? 'channel' : `g${colBlock}`) : `${rowBlock}x${colBlock} blocks`;
  return { rowsPerBatch: rows, scaleRowsPerBatch: scaleRows, rowBlock, colBlock, scaleCols, shared, where };
}

/** What the codes are called: `int8 per channel`, `fp8-e4m3 128x128 blocks`. */
export function scaledName(codes: DType, where: string, powers: boolean): string {
  const encoding = fp8Encoding(codes);
  if (powers && encoding) return `mxfp8-${encoding} ${where}`;
  return `${encoding ? `fp8-${encoding}` : 'int8'} ${where === 'tensor' || where === 'channel' ? `per ${where}` : where}`;
}

function recogniseOne(tensors: TensorTable, codes: TensorInfo, scale: TensorInfo, { blocks, group }: ReturnType<typeof blockSizes>, found: Recognised): void {
  const prefix = modulePrefix(codes.name);
  const zero = tensors.get(`${codes.name}_zero_point`);
  const powers = scale.dtype === 'U8' || scale.dtype === 'F8_E8M0';
  const grid = scaleGrid(codes.shape, scale.shape, blocks, powers ? 32 : group);
  const problem = firstProblem(
    isEmpty(codes) ? 'it holds no values' : null,
    partProblem('codes', codes, CODE_DTYPES, null),
    partProblem('scales', scale, [...SCALE_DTYPES, 'U8', 'F8_E8M0'], null),
    typeof grid === 'string' ? grid : null,
    codes.shape.at(-1)! > MAX_ROW ? `its rows of ${codes.shape.at(-1)} inputs are longer than the ${MAX_ROW} that are read` : null,
    zero && partProblem('zero points', zero, ['I8', 'U8', 'I32', ...SCALE_DTYPES, 'F8_E4M3'], scale.shape),
  );
  if (problem || typeof grid === 'string') {
    found.unfit(codes, problem ?? '');
    return;
  }
  const suffix = scaleSuffix(scale.dtype);
  const encoding = fp8Encoding(codes.dtype);
  const { where, ...options } = grid;
  const simple = !where.includes('blocks');
  const beside = ['input_scale', 'input_scale_inv', 'input_zero_point', 'input_global_scale', 'output_scale', 'output_zero_point', 'activation_scale', 'scale_input', 'comfy_quant'];
  found.add(
    { name: codes.name, shape: codes.shape, dtype: powers ? 'BF16' : scale.dtype },
    {
      name: scaledName(codes.dtype, where, powers),
      format: powers ? `mxfp8-${encoding}` : zero && encoding ? null : !simple ? null : encoding ? `fp8-${encoding}-${where}${suffix}` : `int8-${zero ? 'asym' : 'sym'}-${where}${suffix}`,
      options: { ...options, powers },
    },
    { codes, scales: scale, zeros: zero },
    beside.map((name) => tensors.get(prefix + name)),
  );
}

function recogniseScb(tensors: TensorTable, codes: TensorInfo, scb: TensorInfo, found: Recognised): void {
  const grid = scaleGrid(codes.shape, [codes.shape[0] ?? 0], null, null);
  const problem = firstProblem(
    isEmpty(codes) ? 'it holds no values' : null,
    codes.shape.length === 2 ? null : 'it is no matrix',
    partProblem('codes', codes, ['I8'], null),
    scb.shape.reduce((product, dim) => product * dim, 1) === codes.shape[0] ? partProblem('scales', scb, ['F32', 'F16', 'BF16'], null) : `its SCB has the shape [${scb.shape.join(', ')}] where [${codes.shape[0]}] belongs`,
    codes.shape.at(-1)! > MAX_ROW ? `its rows of ${codes.shape.at(-1)} inputs are longer than the ${MAX_ROW} that are read` : null,
  );
  if (problem || typeof grid === 'string') {
    found.unfit(codes, problem ?? '');
    return;
  }
  const { where: _where, ...options } = grid;
  found.add(
    { name: codes.name, shape: codes.shape, dtype: scb.dtype },
    { name: 'int8 per channel (bitsandbytes)', format: `int8-symr-channel${scaleSuffix(scb.dtype)}`, options: { ...options, powers: false, factor: BITSANDBYTES_FACTOR } },
    { codes, scales: scb },
    [tensors.get(`${codes.name}_format`), tensors.get(`${codes.name}.weight_format`)],
  );
}

/** 1/127 as bitsandbytes writes it, in float32. */
const BITSANDBYTES_FACTOR = Math.fround(7.874015718698502e-3);

/** Block and group sizes that the settings name. */
function blockSizes(config: JsonValue | null): { readonly blocks: readonly [number, number] | null; readonly group: number | null } {
  const pair = (value: JsonValue | undefined): [number, number] | null => (Array.isArray(value) && value.length === 2 && value.every((size) => typeof size === 'number' && Number.isSafeInteger(size) && size > 0) ? [value[0] as number, value[1] as number] : null);
  const schemes = Object.values(objectAt(config ?? undefined, 'config_groups') ?? {}).map((group) => objectAt(group, 'weights'));
  const blocks = pair(memberOf(config ?? undefined, 'weight_block_size')) ?? schemes.map((scheme) => pair(memberOf(scheme ?? undefined, 'block_structure'))).find((found) => found !== null) ?? null;
  const group = schemes.map((scheme) => numberAt(scheme ?? undefined, 'group_size')).find((size) => size !== null && size > 0) ?? null;
  return { blocks, group };
}
