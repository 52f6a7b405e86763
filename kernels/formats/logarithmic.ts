/**
 * Logarithmic codes: sign, and a magnitude that falls by a constant ratio from code to code; the last magnitude code is zero.
 * value = +-base^-k, k = round(-log_base(t)), so half way is half way in the exponent. Codes past the range are zero.
 *
 * - log2: base 2, a shift (`b` bits: a sign and 2^(b-1) - 1 powers).
 * - logsqrt2 (RepQ-ViT): base sqrt(2), deployed as a shift by ceil(k / 2) with a factor for odd k.
 * - adalog (AdaLog): base 2^(q/37), q named or chosen per block.
 * - sulq (I&S-ViT): t is shifted by eta before the logarithm and the exponent is rounded after it was quantized uniformly, so that
 *   value + eta is a power of two; codes that merge are one value. eta is a power of two, named or chosen per block.
 */
import { blockScaledFormat } from './block-scaled';
import { chosenFormat } from './chosen';
import { codebookElement, nextUp, roundUpToFloat32 } from './codebook';
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR, tailText } from './grammar';

/** AdaLog's resolution of the base. */
const R = 37;

/** A symmetric codebook from ascending positive magnitudes; `edges[i]` is where magnitude i begins (t at or above it). */
function mirrored(magnitudes: readonly number[], edges: readonly number[], bits: number): CodebookElement {
  const count = magnitudes.length;
  const values = [...magnitudes.map((value) => -value).reverse(), 0, ...magnitudes];
  const up = edges.map(roundUpToFloat32);
  // An edge belongs to the larger magnitude on both sides.
  const thresholds = [...up.map((edge) => nextUp(-edge)).reverse(), ...up];
  const sign = 2 ** (bits - 1);
  // Magnitude codes 1.. in ascending order, the sign bit on top.
  const codes = values.map((value, i) => (value < 0 ? sign + (count - i) : i - count));
  return codebookElement({ values, thresholds, codes, divisor: magnitudes.at(-1)! });
}

/** base = 2^step. */
function logElement(bits: number, step: number): CodebookElement {
  const powers = 2 ** (bits - 1) - 1;
  const ks = Array.from({ length: powers }, (_, i) => powers - 1 - i);
  return mirrored(ks.map((k) => 2 ** (-k * step)), ks.map((k) => 2 ** (-(k + 0.5) * step)), bits);
}

/** SULQ over [0, 1]: exponents from log2(eta) to log2(1 + eta) in 2^(b-1) codes, rounded; code 0 is zero. */
function shiftedElement(bits: number, eta: number): CodebookElement {
  const codes = 2 ** (bits - 1);
  const [low, high] = [Math.log2(eta), Math.log2(1 + eta)];
  const step = (high - low) / (codes - 1);
  const magnitudes: number[] = [];
  const edges: number[] = [];
  for (let k = 0; k < codes; k += 1) {
    const value = 2 ** Math.round(k * step + low) - eta;
    if (value <= (magnitudes.at(-1) ?? 0)) continue;
    magnitudes.push(value);
    edges.push(2 ** ((k - 0.5) * step + low) - eta);
  }
  return { ...mirrored(magnitudes, edges, bits), divisor: 1 };
}

interface Kind {
  readonly title: string;
  readonly catalogue: readonly string[];
  /** Letter and range of a parameter, and the values tried where none is named. */
  readonly parameter?: { readonly letter: string; readonly low: number; readonly high: number; readonly grid: readonly number[]; readonly meaning: (value: number) => string };
  element(bits: number, parameter: number): CodebookElement;
}

const KINDS: Readonly<Record<string, Kind>> = {
  log2: { title: 'logarithmic, base 2', catalogue: ['repq-vit'], element: (bits) => logElement(bits, 1) },
  logsqrt2: { title: 'logarithmic, base √2', catalogue: ['repq-vit'], element: (bits) => logElement(bits, 0.5) },
  adalog: {
    title: 'logarithmic, adaptive base', catalogue: ['adalog'], element: (bits, q) => logElement(bits, q / R),
    parameter: { letter: 'q', low: 4, high: 111, grid: [37, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 42, 48, 56], meaning: (q) => `base 2^(${q}/${R})` },
  },
  sulq: {
    title: 'shifted logarithmic', catalogue: ['i-and-s-vit'], element: (bits, j) => shiftedElement(bits, 2 ** -j),
    parameter: { letter: 'e', low: 0, high: 12, grid: Array.from({ length: 11 }, (_, i) => i), meaning: (j) => `eta 2^-${j}` },
  },
};

export const logarithmicFamily: FormatFamily = {
  name: 'logarithmic',
  title: 'Logarithmic codes',
  grammar: `<log2|logsqrt2>-b<3..8>${TAIL_GRAMMAR}; adalog-b<3..8>[-q<4..111>]...; sulq-b<3..8>[-e<0..12>]...; without q or e each block chooses`,
  listed: ['log2-b3-channel', 'log2-b4-channel', 'log2-b4-g128', 'logsqrt2-b4-channel', 'logsqrt2-b6-channel', 'adalog-b4-q20-channel', 'adalog-b4-channel', 'adalog-b4-g128', 'sulq-b4-e3-channel', 'sulq-b4-channel'],
  layout: 's.kk..k: sign and magnitude code (0 is zero, the rest ascending powers) | per block: float32 scale and, where it is chosen, 4 bits that name the parameter',
  oracle: 'the closed forms, code by code; adalog at q = 37 equals log2',
  source: 'Li et al., RepQ-ViT, 2023; Wu et al., AdaLog, 2024; Zhong et al., I&S-ViT, 2023',
  parse(id) {
    const [name, width, ...parts] = id.split('-');
    const kind = Object.hasOwn(KINDS, name!) ? KINDS[name!]! : null;
    if (!kind) return null;
    const bits = Number(width?.slice(1));
    if (!/^b\d$/.test(width ?? '') || bits < 3 || bits > 8) throw new FormatIdError(`"${id}": logarithmic codes have 3 to 8 bits, for example ${name}-b4`);
    const { parameter } = kind;
    let value: number | null = null;
    if (parameter && new RegExp(`^${parameter.letter}\\d`).test(parts[0] ?? '')) {
      const text = parts.shift()!.slice(1);
      value = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
      if (!(value >= parameter.low && value <= parameter.high)) throw new FormatIdError(`"${id}": ${parameter.letter} is ${parameter.low} to ${parameter.high}`);
    }
    const tail = parseIdTail(id, parts);
    const shared = { family: 'logarithmic', catalogue: kind.catalogue, codeBits: bits, granularity: tail.granularity };
    const head = `${name}-b${bits}`;
    if (!parameter || value !== null) {
      const middle = value === null ? '' : `-${parameter!.letter}${value}`;
      return blockScaledFormat({
        ...shared, id: `${head}${middle}-${tail.text}`, title: `${bits}-bit ${kind.title}${value === null ? '' : `, ${parameter!.meaning(value)}`}, ${granularityTitle(tail)}`,
        scaleStorage: tail.scaleStorage, element: kind.element(bits, value ?? 0), traits: { signSymmetric: true },
      });
    }
    if (tail.scaleStorage !== 'f32') throw new FormatIdError(`"${id}": a searched ${name} has float32 scales; name ${parameter.letter} to store them otherwise`);
    return chosenFormat({
      ...shared, id: `${head}-${tailText(tail.granularity, 'f32')}`, title: `${bits}-bit ${kind.title}, searched, ${granularityTitle(tail)}`,
      elements: parameter.grid.map((each) => kind.element(bits, each)), traits: { signSymmetric: true },
    });
  },
};
