/** What every block-scaled family shares: scales, codes, values and storage. A family gives the element and the names. */
import type { BlockScaledFormat, BlockScales, Element, FormatTraits, Granularity, Quantized, ScaleRule, ScaleStorage, StoredField, WeightView } from './format';
import { blockLayout } from './blocks';
import { findBlockScales } from './clip-search';
import { dequantizeElement, elementCodes, encodeElement, hasZeroPoint, leastScaleExponent, loadedCode, scaleOfRange } from './element';
import { packFields, unpackFields } from './fields';
import { scaleBitsOf, scalesFromBits, SCALE_STORAGES } from './scale';
import { storageOfFields } from './storage';

export interface BlockScaledDefinition {
  readonly id: string;
  readonly family: string;
  readonly title: string;
  readonly catalogue: readonly string[];
  readonly codeBits: number;
  readonly granularity: Granularity | null;
  readonly element: Element;
  readonly scaleStorage: ScaleStorage;
  /** The scale of plain casts; 1 unless said. */
  readonly castScale?: number;
  /** Where the element alone does not say: symmetric codes are taken as symmetric in their values, everything as monotone. */
  readonly traits?: Partial<FormatTraits>;
}

type Codes = Quantized['codes'];

function codeArray(element: Element, codeBits: number, length: number): Codes {
  if (element.kind === 'int' && element.low < 0) return codeBits > 8 ? new Int16Array(length) : new Int8Array(length);
  return codeBits > 16 ? new Uint32Array(length) : codeBits > 8 ? new Uint16Array(length) : new Uint8Array(length);
}

/** Storages whose scale is below the free one by so little that no integer reaches the code that has no opposite. */
const NEVER_CLIPS: ReadonlySet<ScaleStorage> = new Set<ScaleStorage>(['f32', 'f16', 'bf16', 'dy16', 'p2up', 'p2row']);

function isSymmetric(element: Element, storage: ScaleStorage): boolean {
  if (element.kind === 'int') return element.symmetric && element.high > 0 && (element.low === -element.high || NEVER_CLIPS.has(storage));
  if (element.kind === 'float') return true;
  const { values, thresholds } = element;
  // Mirrored values are not enough: a tie must go the same way, seen from zero.
  return values.every((value, i) => value === -values[values.length - 1 - i]!) && thresholds.every((value, i) => value === -thresholds[thresholds.length - 1 - i]!);
}

/** Whether every code has the values that are nearest to it: a codebook may decide otherwise. */
function isNearest(element: Element): boolean {
  return element.kind !== 'codebook' || element.thresholds.every((threshold, i) => {
    const [low, high] = [element.values[i]!, element.values[i + 1]!];
    return Math.abs(threshold - (low + high) / 2) <= 1e-6 * Math.max(-low, high, high - low);
  });
}

export function blockScaledFormat(definition: BlockScaledDefinition): BlockScaledFormat {
  const { element, granularity, scaleStorage, codeBits, id, castScale = 1 } = definition;
  const asymmetric = hasZeroPoint(element);
  const { outer } = SCALE_STORAGES[scaleStorage];
  /** Signed codes are stored with half the range added. */
  const offset = element.kind === 'int' && element.symmetric && element.low < 0 ? 2 ** (codeBits - 1) : 0;
  const outerCount = (view: WeightView): number => (granularity === null || outer === null ? 0 : outer === 'tensor' ? 1 : view.rows);

  const fields = (view: WeightView): StoredField[] => {
    const { count } = blockLayout(view, granularity);
    const all: StoredField[] = [
      { name: 'codes', part: 'code', bits: codeBits, count: view.rows * view.cols },
      { name: 'scales', part: 'scale', bits: SCALE_STORAGES[scaleStorage].bits, count },
      { name: 'zero points', part: 'zeroPoint', bits: codeBits, count: asymmetric ? count : 0 },
      { name: 'outer scales', part: 'scale', bits: 32, count: outerCount(view) },
    ];
    return all.filter((field, i) => i === 0 || field.count > 0 || (i === 1 && granularity !== null));
  };

  const storage = (view: WeightView) => storageOfFields(fields(view), view);
  const findScales = (weights: Float32Array, view: WeightView, rule: ScaleRule): BlockScales =>
    findBlockScales(element, scaleStorage, weights, view, granularity, rule);
  const blockOf = (view: WeightView): ((i: number) => number) => {
    const { size } = blockLayout(view, granularity);
    return granularity === null ? () => -1 : (i) => Math.floor(i / size);
  };
  const outerOf = (view: WeightView, outerScales: ArrayLike<number> | undefined): ((block: number) => number) => {
    const perRow = view.rows === 0 ? 1 : blockLayout(view, granularity).count / view.rows;
    return (block) => outerScales?.[outer === 'row' ? Math.floor(block / perRow) : 0] ?? 1;
  };

  const encodeWith = (weights: Float32Array, view: WeightView, blocks: BlockScales): Quantized => {
    const codes = codeArray(element, codeBits, weights.length);
    const at = blockOf(view);
    for (let i = 0; i < weights.length; i += 1) {
      const block = at(i);
      const x = Number.isFinite(weights[i]!) ? weights[i]! : 0;
      codes[i] = encodeElement(element, x, block < 0 ? castScale : blocks.scales[block]!, blocks.zeroPoints?.[block] ?? 0);
    }
    return { format: id, view, codes, scales: blocks.scales, zeroPoints: blocks.zeroPoints, parts: blocks.outer ? [blocks.outer] : [] };
  };
  const nearest = isNearest(element);
  const least = leastScaleExponent(element);
  const valuesOf = elementCodes.bind(null, element, codeBits);

  return {
    ...definition,
    castScale,
    holds: 'block',
    rowsAtOnce: 1,
    workingBytes: 0,
    scaleRules: granularity === null ? ['absmax'] : ['absmax', 'mse'],
    traits: { monotone: true, signSymmetric: isSymmetric(element, scaleStorage), idempotent: true, ...definition.traits },
    nominalBitsPerWeight: storage({ rows: 1, cols: 4096 }).bitsPerWeight,
    storage,
    fields,
    scaleOf: (minimum, maximum, clip, outerScale) => scaleOfRange(element, scaleStorage, minimum, maximum, clip, outerScale),
    findScales,
    encodeWith,
    encode: (weights, view, rule) => encodeWith(weights, view, findScales(weights, view, rule)),
    encodeLike: (weights, { view, scales, zeroPoints, parts }) => encodeWith(weights, view, { scales, zeroPoints, ...(parts[0] ? { outer: parts[0] as Float32Array } : {}) }),
    decode: ({ codes, view, scales, zeroPoints }) => {
      const at = blockOf(view);
      const values = new Float32Array(codes.length);
      for (let i = 0; i < codes.length; i += 1) {
        const block = at(i);
        values[i] = dequantizeElement(element, loadedCode(element, codes[i]!), block < 0 ? castScale : scales[block]!, zeroPoints?.[block] ?? 0);
      }
      return values;
    },
    candidates: ({ view, scales, zeroPoints }, index) => {
      if (codeBits > 8 || !nearest) return null;
      const block = blockOf(view)(index);
      return valuesOf().map((code) => dequantizeElement(element, code, block < 0 ? castScale : scales[block]!, zeroPoints?.[block] ?? 0));
    },
    pack: ({ view, codes, scales, zeroPoints, parts }) => {
      const stored = fields(view);
      const outerScales = parts[0] as Float32Array | undefined;
      const values: Readonly<Record<string, () => ArrayLike<number>>> = {
        codes: () => (offset === 0 ? codes : Float64Array.from(codes, (code) => code + offset)),
        scales: () => scaleBitsOf(scales, scaleStorage, outerOf(view, outerScales), least),
        'zero points': () => zeroPoints!,
        'outer scales': () => new Uint32Array(outerScales!.slice().buffer),
      };
      return packFields(stored, stored.map(({ name }) => values[name]!()));
    },
    unpack: (bytes, view) => {
      const stored = fields(view);
      const found = new Map(unpackFields(stored, bytes).map((numbers, i) => [stored[i]!.name, numbers]));
      const codes = codeArray(element, codeBits, view.rows * view.cols);
      found.get('codes')!.forEach((code, i) => { codes[i] = code - offset; });
      const zeroPoints = found.get('zero points');
      const outerBits = found.get('outer scales');
      const outerScales = outerBits && new Float32Array(outerBits.buffer);
      return {
        format: id, view, codes,
        scales: scalesFromBits(found.get('scales') ?? [], scaleStorage, outerOf(view, outerScales), least),
        zeroPoints: asymmetric ? Int32Array.from(zeroPoints ?? []) : null,
        parts: outerScales ? [outerScales] : [],
      };
    },
  };
}
