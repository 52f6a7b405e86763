/** What every block-scaled family shares: scales, codes, values and storage. A family gives the element and the names. */
import type { BlockScaledFormat, BlockScales, Element, Granularity, Quantized, ScaleRule, ScaleStorage, StorageCost, WeightView } from './format';
import { blockLayout } from './blocks';
import { findBlockScales } from './clip-search';
import { dequantizeElement, loadedCode, quantizeElement, scaleOfRange, storedCode } from './element';

export interface BlockScaledDefinition {
  readonly id: string;
  readonly family: string;
  readonly title: string;
  readonly catalogue: readonly string[];
  readonly codeBits: number;
  readonly granularity: Granularity | null;
  readonly element: Element;
  readonly scaleStorage: ScaleStorage;
}

function codeArray(element: Element, codeBits: number, length: number): Int8Array | Uint8Array | Uint16Array {
  if (element.kind === 'int' && element.symmetric) return new Int8Array(length);
  return codeBits > 8 ? new Uint16Array(length) : new Uint8Array(length);
}

export function blockScaledFormat(definition: BlockScaledDefinition): BlockScaledFormat {
  const { element, granularity, scaleStorage, codeBits, id } = definition;
  const asymmetric = element.kind === 'int' && !element.symmetric;

  const storage = (view: WeightView): StorageCost => {
    const weights = view.rows * view.cols;
    const { count } = blockLayout(view, granularity);
    const parts = {
      codeBits: weights * codeBits,
      scaleBits: count * (scaleStorage === 'f32' ? 32 : 16),
      zeroPointBits: asymmetric ? count * codeBits : 0,
    };
    const totalBits = parts.codeBits + parts.scaleBits + parts.zeroPointBits;
    return { ...parts, totalBits, bitsPerWeight: weights === 0 ? 0 : totalBits / weights };
  };

  const findScales = (weights: Float32Array, view: WeightView, rule: ScaleRule): BlockScales =>
    findBlockScales(element, scaleStorage, weights, view, granularity, rule);

  const encodeWith = (weights: Float32Array, view: WeightView, blocks: BlockScales): Quantized => {
    const codes = codeArray(element, codeBits, weights.length);
    const { size } = blockLayout(view, granularity);
    for (let i = 0; i < weights.length; i += 1) {
      const block = granularity === null ? -1 : Math.floor(i / size);
      const x = Number.isFinite(weights[i]!) ? weights[i]! : 0;
      codes[i] = storedCode(element, quantizeElement(element, x, block < 0 ? 1 : blocks.scales[block]!, blocks.zeroPoints?.[block] ?? 0));
    }
    return { format: id, view, codes, scales: blocks.scales, zeroPoints: blocks.zeroPoints };
  };

  return {
    ...definition,
    nominalBitsPerWeight: storage({ rows: 1, cols: 4096 }).bitsPerWeight,
    storage,
    scaleOf: (minimum, maximum, clip) => scaleOfRange(element, scaleStorage, minimum, maximum, clip),
    findScales,
    encodeWith,
    encode: (weights, view, rule) => encodeWith(weights, view, findScales(weights, view, rule)),
    decode: ({ codes, view, scales, zeroPoints }) => {
      const { size } = blockLayout(view, granularity);
      const values = new Float32Array(codes.length);
      for (let i = 0; i < codes.length; i += 1) {
        const block = granularity === null ? -1 : Math.floor(i / size);
        values[i] = dequantizeElement(element, loadedCode(element, codes[i]!), block < 0 ? 1 : scales[block]!, zeroPoints?.[block] ?? 0);
      }
      return values;
    },
  };
}
