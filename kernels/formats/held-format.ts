/**
 * Formats that are not block-scaled: residual bases, types chosen per group, sparse outliers, nested codes, learned codebooks.
 * A family says what is stored (fields of unsigned numbers), how weights become those numbers and how they become weights again.
 * Because decode sees nothing but the stored numbers, what is measured is what is stored, and the storage cost cannot be wrong.
 */
import { packFields, unpackFields } from './fields';
import type { FormatTraits, Granularity, Holds, NumberFormat, NumericArray, Quantized, ScaleRule, StoredField, WeightView } from './format';
import { storageOfFields } from './storage';

/** One array of unsigned numbers for each field, in the order of the fields. */
export type FieldValues = readonly NumericArray[];

export interface HeldDefinition {
  readonly id: string;
  readonly family: string;
  readonly title: string;
  readonly catalogue: readonly string[];
  readonly codeBits: number;
  /** For documentation and rules: where scales lie. */
  readonly granularity: Granularity | null;
  /** `row`: each run of `rowsAtOnce` rows (1 unless said) is encoded by itself. `weight`: all rows together. */
  readonly holds: Exclude<Holds, 'block'>;
  readonly rowsAtOnce?: number;
  /** Bytes that encode and decode use per weight, beyond the input; 16 unless said. */
  readonly workingBytes?: number;
  /** `absmax` alone unless said. */
  readonly scaleRules?: readonly ScaleRule[];
  readonly traits: FormatTraits;
  /** What is stored for a view; the first field is `codes`. */
  fields(view: WeightView): readonly StoredField[];
  /**
   * @param weights of the whole view, finite (NaN and infinities are zero here)
   * @returns the numbers of each field
   */
  encode(weights: Float32Array, view: WeightView, rule: ScaleRule, poll: () => void): FieldValues;
  decode(values: FieldValues, view: WeightView): Float32Array;
  /** Encodes with the scales, types and codebooks of `like`; without it, encoding afresh must give them again. */
  encodeLike?(weights: Float32Array, view: WeightView, like: FieldValues): FieldValues;
  /** All values that weight `index` could have, when encode chooses the nearest of them. */
  candidates?(values: FieldValues, view: WeightView, index: number): ArrayLike<number> | null;
}

const NONE = new Float32Array(0);

function finite(weights: Float32Array): Float32Array {
  return weights.every((x) => Number.isFinite(x)) ? weights : weights.map((x) => (Number.isFinite(x) ? x : 0));
}

export function heldFormat(definition: HeldDefinition): NumberFormat {
  const { id, fields } = definition;
  const quantized = (view: WeightView, values: FieldValues): Quantized => ({ format: id, view, codes: values[0] as Quantized['codes'], scales: NONE, zeroPoints: null, parts: values });
  const storage = (view: WeightView) => storageOfFields(fields(view), view);
  const ignore = (): void => undefined;
  return {
    id,
    family: definition.family,
    title: definition.title,
    catalogue: definition.catalogue,
    codeBits: definition.codeBits,
    granularity: definition.granularity,
    holds: definition.holds,
    rowsAtOnce: definition.rowsAtOnce ?? 1,
    workingBytes: definition.workingBytes ?? 16,
    scaleRules: definition.scaleRules ?? ['absmax'],
    traits: definition.traits,
    nominalBitsPerWeight: storage({ rows: 1, cols: 4096 }).bitsPerWeight,
    storage,
    fields,
    encode: (weights, view, rule, poll = ignore) => quantized(view, definition.encode(finite(weights), view, rule, poll)),
    encodeLike: (weights, { view, parts }) => quantized(view, definition.encodeLike?.(finite(weights), view, parts) ?? definition.encode(finite(weights), view, 'absmax', ignore)),
    decode: ({ view, parts }) => definition.decode(parts, view),
    candidates: ({ view, parts }, index) => definition.candidates?.(parts, view, index) ?? null,
    pack: ({ view, parts }) => packFields(fields(view), parts),
    unpack: (bytes, view) => quantized(view, unpackFields(fields(view), bytes)),
  };
}
