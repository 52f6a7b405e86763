/**
 * Quantized layouts that are ordinary tensors under agreed names (`qweight`, `scales`, `qzeros`...). Recognised from names,
 * shapes, types and the model's `quantization_config` after a checkpoint was opened; the values are decoded by the layout of
 * the same id in kernels/stored.
 */
import type { CheckpointProblem, DerivedTensor, DType, JsonValue, TensorInfo } from '../checkpoint';
import { elementCount } from '../checkpoint';
import { parseFormat } from '../../formats/registry';
import { FormatIdError } from '../../formats/format';
import { shown } from '../problems';
import type { TensorTable } from './tensor-table';

export interface RecognisedLayout {
  readonly derived: readonly DerivedTensor[];
  readonly problems: readonly CheckpointProblem[];
}

export interface LayoutRecogniser {
  /** What it recognises; usually the id of the stored layout too. */
  readonly id: string;
  /** Last parts of the names (after the last dot) whose presence makes it worth looking; with `_` in front, how a last part ends. */
  readonly marks: readonly string[];
  /**
   * @param tensors those that no recogniser before this one took
   * @param config the model's `quantization_config` where a file beside the checkpoint or its metadata carries one
   * @returns what was recognised; never throws for what a file may hold
   */
  recognise(tensors: TensorTable, config: JsonValue | null): RecognisedLayout;
}

/** Longest row of a packed matrix: decoders hold a few rows in memory. */
export const MAX_ROW = 2 ** 22;

/** Collects what a recogniser finds. */
export class Recognised implements RecognisedLayout {
  readonly derived: DerivedTensor[] = [];
  readonly problems: CheckpointProblem[] = [];

  /** @param layout id of the stored layout @param title what the layout is called in messages */
  constructor(private readonly layout: string, private readonly title = layout) {}

  /**
   * @param weight name in the model, shape there, and the type that its values have
   * @param encoding as it is shown, the number format where ours is the same, and what decoding needs
   * @param parts by role; `codes` is where the values lie
   * @param beside further tensors that belong to it and that decoding does not need
   */
  add(weight: { readonly name: string; readonly shape: readonly number[]; readonly dtype: DType }, encoding: { readonly name: string; readonly format?: string | null; readonly options?: Readonly<Record<string, JsonValue>> },
    parts: { readonly codes: TensorInfo } & Readonly<Record<string, TensorInfo | null | undefined>>, beside: readonly (TensorInfo | null | undefined)[] = []): void {
    const present = Object.entries(parts).filter((part): part is [string, TensorInfo] => part[1] !== null && part[1] !== undefined);
    const all = [...present.map(([, tensor]) => tensor), ...beside.filter((tensor) => tensor !== null && tensor !== undefined)];
    const format = encoding.format ? knownFormat(encoding.format) : null;
    this.derived.push({
      name: weight.name, dtype: weight.dtype, shape: weight.shape, data: parts.codes.data,
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      encoding: { layout: this.layout, name: encoding.name, ...(format ? { format } : {}), parts: Object.fromEntries(present), ...(encoding.options ? { options: encoding.options } : {}) },
      ...(parts.codes.container !== undefined ? { container: parts.codes.container } : {}),
      replaces: all.map(({ name }) => name),
    });
  }

  /** A weight whose parts do not fit together: shown as it is stored, with a finding. */
  unfit(codes: TensorInfo, why: string): void {
    this.problems.push({
      code: 'BL406', grade: 'questionable', tensor: codes.name,
      message: `${shown(codes.name)} looks like a ${this.title} weight, but ${why}; it is shown as it is stored`,
      fix: 'Save the checkpoint again with the program that quantized it, and check that the configuration beside it is the one it came with',
    });
  }

  note(codes: TensorInfo, message: string, fix: string): void {
    this.problems.push({ code: 'BL406', grade: 'information', tensor: codes.name, message, fix });
  }
}

/** The id as `bitlens formats` writes it; null when it is none of ours. */
function knownFormat(id: string): string | null {
  try {
    return parseFormat(id).id;
  } catch (error) {
    if (error instanceof FormatIdError) return null;
    throw error;
  }
}

/** `e4m3` of `F8_E4M3`; null for other types. */
export function fp8Encoding(dtype: DType): string | null {
  return /^F8_(E4M3|E5M2|E4M3FNUZ|E5M2FNUZ)$/.exec(dtype)?.[1]?.toLowerCase() ?? null;
}

/** How a format id says what type scales have. */
export function scaleSuffix(dtype: DType): string {
  return dtype === 'F16' ? '-sf16' : dtype === 'BF16' ? '-sbf16' : '';
}

/** `g128`, or `channel` where one group is the whole row, or `tensor` for a single scale. */
export function granularityId(groups: number, groupSize: number): string {
  return groups === 1 ? 'channel' : `g${groupSize}`;
}

/** Why a tensor is not usable as a part; null when it is. Shapes here are small and come from the header. */
export function partProblem(what: string, tensor: TensorInfo, dtypes: readonly DType[], shape: readonly number[] | null): string | null {
  if (!dtypes.includes(tensor.dtype) || tensor.quantizer || tensor.encoding) return `its ${what} are ${tensor.encoding?.name ?? tensor.dtype}, not ${dtypes.join(' or ')}`;
  if (!tensor.data) return `the file holds no values of its ${what}`;
  if (shape && (tensor.shape.length !== shape.length || tensor.shape.some((dim, i) => dim !== shape[i]))) {
    return `its ${what} have the shape [${tensor.shape.join(', ')}] where [${shape.join(', ')}] belongs`;
  }
  return null;
}

/** The first of several checks that failed. */
export function firstProblem(...problems: readonly (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null;
}

export const SCALE_DTYPES: readonly DType[] = ['F16', 'BF16', 'F32'];

/** True when there is anything to decode. */
export function isEmpty(tensor: TensorInfo): boolean {
  return elementCount(tensor.shape) === 0;
}
