/**
 * Companded integers: a magnitude t in [0, 1] is quantized uniformly after a map g, and decoded with its inverse, so that codes
 * lie closer where the map is steep. With m = 2^(b-1) - 1: code = round(m g(t)), value = m g^-1(code / m), scale = absmax / m.
 *
 * - power (PowerQuant, NUPES): g(t) = t^a, the only maps that keep products; a = 1 is the symmetric integer, bit for bit.
 * - tan (TanQ): g(t) = tan(c t) / tan(c), finer near the largest magnitudes; c = 0 is the symmetric integer.
 */
import { chosenFormat } from './chosen';
import { codebookElement, nearestThresholds, nextUp, roundUpToFloat32 } from './codebook';
import { blockScaledFormat } from './block-scaled';
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR, tailText } from './grammar';

interface Compander {
  readonly title: string;
  /** Letter of the parameter in ids. */
  readonly letter: string;
  readonly catalogue: readonly string[];
  /** g^-1 on [0, 1]. */
  inverse(u: number, parameter: number): number;
  /** The parameter at which g is the identity. */
  readonly identity: number;
  allows(parameter: number): boolean;
  readonly range: string;
  /** Parameters tried where none is named; the identity first. */
  readonly grid: readonly number[];
}

const MAPS: Readonly<Record<string, Compander>> = {
  power: {
    title: 'power', letter: 'a', catalogue: ['nupes'], inverse: (u, a) => u ** (1 / a), identity: 1,
    allows: (a) => a >= 0.1 && a <= 2, range: '0.1 to 2', grid: Array.from({ length: 16 }, (_, i) => (100 - 5 * i) / 100),
  },
  tan: {
    title: 'tangent', letter: 'c', catalogue: ['dopq-vit'], inverse: (u, c) => (c === 0 ? u : Math.atan(u * Math.tan(c)) / c), identity: 0,
    allows: (c) => c >= 0 && c <= 1.5, range: '0 to 1.5', grid: Array.from({ length: 16 }, (_, i) => i / 10).filter((c) => c <= 1.5),
  },
};

/** Codes in two's complement, so that the sign is a bit. */
function element(map: Compander, bits: number, parameter: number): CodebookElement {
  const most = 2 ** (bits - 1) - 1;
  const mapped = (u: number): number => most * Math.sign(u) * map.inverse(Math.abs(u) / most, parameter);
  const numbers = Array.from({ length: 2 * most + 1 }, (_, i) => i - most);
  const codes = numbers.map((number) => number & (2 ** bits - 1));
  const plain = parameter === map.identity;
  const values = Float32Array.from(numbers, plain ? (number) => number : mapped);
  // Half-way points are half way between codes, not between values; ties to the even code.
  const thresholds = plain ? nearestThresholds(values, 'even', codes) : Float32Array.from({ length: 2 * most }, (_, i) => {
    const upper = numbers[i + 1]!;
    const half = roundUpToFloat32(mapped(upper - 0.5));
    return upper % 2 === 0 ? half : nextUp(half);
  });
  return codebookElement({ values, thresholds, codes, divisor: most });
}

const digits = (parameter: number): string => String(parameter);

export const companderFamily: FormatFamily = {
  name: 'companders',
  title: 'Power and tangent companders',
  grammar: `<power|tan><3..8>[-<a|c><parameter>]${TAIL_GRAMMAR}; without a parameter each block chooses it from 16`,
  listed: ['power3-channel', 'power4-channel', 'power8-channel', 'power4-a0.5-channel', 'power4-a0.5-g128', 'tan4-channel', 'tan4-c1-channel', 'tan8-c1-channel'],
  layout: 'codes of b bits as in the symmetric integer | per block: float32 scale and, where it is chosen, 4 bits that name the parameter',
  oracle: 'int<b>-symr, bit for bit, at a = 1 and c = 0',
  source: 'Yvinec et al., PowerQuant, 2023 and NUPES, 2023; Yang et al., DopQ-ViT, 2024 (TanQ)',
  ladders: [['power3-channel', 'power4-channel', 'power8-channel']],
  parse(id) {
    const head = /^(power|tan)(\d*)(?:-(.*))?$/s.exec(id);
    if (!head) return null;
    const map = MAPS[head[1]!]!;
    const bits = Number(head[2]);
    if (!/^\d$/.test(head[2]!) || bits < 3 || bits > 8) throw new FormatIdError(`"${id}": ${head[1]} formats have 3 to 8 bits, for example ${head[1]}4`);
    const parts = head[3] === undefined ? [] : head[3].split('-');
    let parameter: number | null = null;
    if (parts[0]?.startsWith(map.letter) && parts[0] !== 'channel') {
      const text = parts.shift()!.slice(1);
      parameter = /^\d(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
      if (!map.allows(parameter)) throw new FormatIdError(`"${id}": the parameter ${map.letter} is ${map.range}, for example ${map.letter}0.5`);
    }
    const tail = parseIdTail(id, parts);
    const name = `${head[1]}${bits}`;
    const shared = { family: 'companders', catalogue: map.catalogue, codeBits: bits, granularity: tail.granularity };
    if (parameter !== null) {
      return blockScaledFormat({
        ...shared, id: `${name}-${map.letter}${digits(parameter)}-${tail.text}`, title: `${bits}-bit ${map.title} compander, ${map.letter} = ${digits(parameter)}, ${granularityTitle(tail)}`,
        scaleStorage: tail.scaleStorage, element: element(map, bits, parameter),
      });
    }
    if (tail.scaleStorage !== 'f32') throw new FormatIdError(`"${id}": a searched compander has float32 scales; name the parameter to store them otherwise`);
    return chosenFormat({
      ...shared, id: `${name}-${tailText(tail.granularity, 'f32')}`, title: `${bits}-bit ${map.title} compander, searched, ${granularityTitle(tail)}`,
      elements: map.grid.map((each) => element(map, bits, each)), traits: { signSymmetric: true },
    });
  },
};
