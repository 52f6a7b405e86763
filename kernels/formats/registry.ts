/** Every format family, and the one place that turns an id into a format. */
import { FormatIdError, type FormatFamily, type NumberFormat } from './format';
import { float16Family } from './float16';
import { additiveFamily } from './additive';
import { afpqFamily } from './afpq';
import { binaryFamily } from './binary';
import { bitmodFamily } from './bitmod';
import { block2dFamily } from './block-2d';
import { blockFloatFamily } from './block-float';
import { bnbFamily } from './bnb';
import { companderFamily } from './companders';
import { densityFamily } from './density';
import { doubleQuantFamily } from './double-quant';
import { dynamicFamily } from './dynamic';
import { ggufFamily } from './gguf';
import { fixedFamily } from './fixed';
import { intFamily } from './int';
import { learnedFamily } from './learned';
import { llmFpFamily } from './llm-fp';
import { logarithmicFamily } from './logarithmic';
import { fp8Family, fpFamily } from './minifloat';
import { mixedColumnsFamily } from './mixed-columns';
import { mxFamily } from './mx';
import { nvfp4Family } from './nvfp4';
import { nestedFamily } from './nested';
import { positFamily } from './posit';
import { sparseFamily } from './sparse';
import { ternaryFamily } from './ternary';

export const families: readonly FormatFamily[] = [intFamily, fp8Family, fpFamily, float16Family, mxFamily, nvfp4Family, blockFloatFamily, fixedFamily, bnbFamily, doubleQuantFamily, afpqFamily, llmFpFamily, bitmodFamily, dynamicFamily, densityFamily,
  companderFamily, logarithmicFamily, additiveFamily, positFamily, learnedFamily, binaryFamily, ternaryFamily, mixedColumnsFamily, sparseFamily, nestedFamily, block2dFamily, ggufFamily];

const parsed = new Map<string, NumberFormat>();

/**
 * The format of an id or of a documented shorthand; `format.id` is the canonical id.
 * @throws FormatIdError saying what is allowed, with the nearest valid id.
 */
export function parseFormat(id: string): NumberFormat {
  const known = parsed.get(id);
  if (known) return known;
  for (const family of families) {
    let format: NumberFormat | null;
    try {
      format = family.parse(id);
    } catch (error) {
      if (!(error instanceof FormatIdError)) throw error;
      throw new FormatIdError(`${error.message}. Grammar: ${family.grammar}. Nearest: ${nearestFormatId(id, [family])}`);
    }
    if (format) {
      if (parsed.size < 4096) parsed.set(id, format);
      return format;
    }
  }
  throw new FormatIdError(`"${id.slice(0, 80)}" is not a number format; nearest is ${nearestFormatId(id)}. Allowed: ${families.map((family) => family.listed[0]).join(', ')}, and others of these families ("bitlens formats" lists them with their grammar)`);
}

/** The formats that pickers and `bitlens formats` show: a selection of the infinitely many ids. */
export function listedFormats(): readonly NumberFormat[] {
  return families.flatMap((family) => family.listed.map(parseFormat));
}

/** Listed id with the fewest single-character edits from `id`; an id that `id` begins like comes close behind. */
export function nearestFormatId(id: string, among: readonly FormatFamily[] = families): string {
  const text = id.toLowerCase().slice(0, 80);
  let best = '';
  let bestDistance = Infinity;
  for (const family of among) {
    for (const candidate of family.listed) {
      const distance = Math.min(editDistance(text, candidate), editDistance(text, candidate.slice(0, text.length)) + 0.5);
      if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
