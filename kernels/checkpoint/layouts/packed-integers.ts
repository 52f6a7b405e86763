/**
 * compressed-tensors `pack-quantized`: `weight_packed` I32 [N, words], codes of 1 to 8 bits plus 2^(b-1), low bits first, each row
 * starting a word; dense across words, or (before May 2026) floor(32/b) codes to a word. `weight_shape` [N, K]; `weight_scale`
 * [N, groups], [N, 1] or [1]; `weight_zero_point` packed alike along the outputs, or I8 as it is; `weight_g_idx` I32 [K].
 */
import type { JsonValue, TensorInfo } from '../checkpoint';
import { firstProblem, MAX_ROW, partProblem, Recognised, SCALE_DTYPES, scaleSuffix, type LayoutRecogniser } from './layout';
import { memberOf, numberAt, objectAt } from './quantization-config';
import { smallIntegers, soundShape } from './small-tensors';
import { modulePrefix, type TensorTable } from './tensor-table';

interface Packing { readonly bits: number; readonly dense: boolean }

export const packedIntegers: LayoutRecogniser = {
  id: 'packed-integers',
  marks: ['weight_packed'],
  recognise(tensors, config) {
    const found = new Recognised('packed-integers', 'pack-quantized');
    for (const packed of tensors.ending('weight_packed')) if (packed.dtype === 'I32') recogniseOne(tensors, config, packed, found);
    return found;
  },
};

function recogniseOne(tensors: TensorTable, config: JsonValue | null, packed: TensorInfo, found: Recognised): void {
  const prefix = modulePrefix(packed.name);
  const part = (name: string): TensorInfo | null => tensors.get(`${prefix}${name}`);
  const [scale, zero, gIdx, shapeTensor] = [part('weight_scale'), part('weight_zero_point'), part('weight_g_idx'), part('weight_shape')];
  const shape = soundShape(smallIntegers(tensors, shapeTensor));
  if (!scale) return;
  if (!shape || shape.length < 2 || packed.shape.length !== shape.length) {
    found.unfit(packed, shape ? 'its codes have other dimensions than its shape' : 'its weight_shape is missing or holds no shape');
    return;
  }
  const inputs = shape.at(-1)!;
  const outputs = shape.at(-2)!;
  const rows = shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
  const words = packed.shape.at(-1)!;
  const schemes = schemesOf(config, prefix.slice(0, -1));
  const said = schemes.map((scheme) => numberAt(scheme, 'num_bits')).filter((bits) => bits !== null);
  const possible = packings(inputs, words).filter(({ bits }) => said.length === 0 || said.includes(bits));
  const packing = possible.length === 1 ? possible[0]! : null;
  const scalar = scale.shape.length <= 1 && (scale.shape[0] ?? 1) === 1;
  const groups = scalar ? 1 : scale.shape.length === 1 ? 1 : scale.shape.at(-1)!;
  const grid = scale.shape.length === 1 ? [rows] : [...shape.slice(0, -1), groups];
  const wanted = schemes.map((scheme) => numberAt(scheme, 'group_size')).find((size) => size !== null && size > 0 && Math.ceil(inputs / size) === groups);
  const groupSize = groups === 1 ? inputs : wanted ?? Math.ceil(inputs / Math.max(1, groups));
  const zeroKind = !zero || !packing ? null : zeroKindOf(zero, packing, outputs, groups, shape.length, scalar ? [] : grid);
  const problem = firstProblem(
    packing ? null : possible.length === 0 ? `${words} words hold no rows of ${inputs} codes${said.length > 0 ? ` of ${said.join(' or ')} bits` : ''}` : `${words} words may hold ${possible.map(({ bits }) => bits).join(' or ')} bits, and no settings say which`,
    inputs > MAX_ROW ? `its rows of ${inputs} inputs are longer than the ${MAX_ROW} that are read` : null,
    partProblem('codes', packed, ['I32'], [...shape.slice(0, -1), words]),
    groups === 0 ? 'it has no groups' : null,
    partProblem('scales', scale, SCALE_DTYPES, scalar ? null : grid),
    zero && !zeroKind ? `its zero points (${zero.dtype} [${zero.shape.join(', ')}]) do not fit its scales` : null,
    zero && partProblem('zero points', zero, ['I32', 'I8'], null),
    gIdx && partProblem('group indices', gIdx, ['I32', 'I64'], [inputs]),
    !gIdx && inputs % groupSize !== 0 && wanted === undefined ? `${inputs} inputs are not divided into ${groups} groups` : null,
  );
  if (problem || !packing) {
    found.unfit(packed, problem ?? 'its packing is unknown');
    return;
  }
  const { bits, dense } = packing;
  const where = scalar ? 'tensor' : groups === 1 ? 'channel' : `g${groupSize}`;
  found.add(
    { name: `${prefix}weight`, shape, dtype: scale.dtype },
    {
      name: `int${bits} ${where.startsWith('g') ? where : `per ${where}`}${gIdx ? ' act-order' : ''} (compressed-tensors)`,
      format: gIdx && groups > 1 ? null : `int${bits}-${zero ? 'asym' : 'sym'}-${where}${scaleSuffix(scale.dtype)}`,
      options: { bits, dense, groupSize, groups, scalar, zeros: zeroKind ?? 'none' },
    },
    { codes: packed, scales: scale, zeros: zero, groups: gIdx },
    [shapeTensor, ...['input_scale', 'input_zero_point', 'input_global_scale', 'output_scale', 'output_zero_point'].map(part)],
  );
}

/** Ways in which `words` words hold a row of `inputs` codes. Where both packings agree it is called dense. */
function packings(inputs: number, words: number): Packing[] {
  return [1, 2, 3, 4, 5, 6, 7, 8].flatMap((bits): Packing[] => {
    if (Math.ceil((inputs * bits) / 32) === words) return [{ bits, dense: true }];
    return Math.ceil(inputs / Math.floor(32 / bits)) === words ? [{ bits, dense: false }] : [];
  });
}

/** `packed` along the outputs as the codes are, or `plain` bytes; null when the shape is neither. */
function zeroKindOf(zero: TensorInfo, { bits, dense }: Packing, outputs: number, groups: number, dims: number, grid: readonly number[]): 'packed' | 'plain' | null {
  if (zero.dtype === 'I8') {
    const elements = zero.shape.reduce((product, dim) => product * dim, 1);
    return elements === grid.reduce((product, dim) => product * dim, 1) ? 'plain' : null;
  }
  const words = dense ? Math.ceil((outputs * bits) / 32) : Math.ceil(outputs / Math.floor(32 / bits));
  return dims === 2 && zero.dtype === 'I32' && zero.shape.length === 2 && zero.shape[0] === words && zero.shape[1] === groups ? 'packed' : null;
}

/** The weight settings that may be meant for a module: those of the group that names it, else those of all groups. */
function schemesOf(config: JsonValue | null, module: string): JsonValue[] {
  const groups = Object.values(objectAt(config ?? undefined, 'config_groups') ?? {});
  const named = groups.filter((group) => { const targets = memberOf(group, 'targets'); return Array.isArray(targets) && targets.includes(module); });
  return (named.length > 0 ? named : groups).flatMap((group) => { const weights = objectAt(group, 'weights'); return weights ? [weights] : []; });
}
