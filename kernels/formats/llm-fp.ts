/**
 * LLM-FP4 and relatives: each channel (or block) chooses its split of exponent and mantissa bits and a real-valued bias.
 * With M mantissa and E exponent bits the largest value is (2 - 2^-M) x 2^(2^E - 1 - b), so that a bias of b instead of the usual b0 is a
 * scale of 2^(b0 - b): choosing the bias is choosing the clip. The `mse` rule searches it; `absmax` sets it so that nothing clips.
 */
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';
import { chosenFormat } from './chosen';
import { codebookElement } from './codebook';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { decodeMinifloat, encodeMinifloat, minifloatSpec } from '../numerics/minifloat';

/** A small float without NaN and infinities, as a codebook; ties to even codes. */
function splitElement(exponentBits: number, mantissaBits: number): CodebookElement {
  const spec = minifloatSpec(exponentBits, mantissaBits, 2 ** (exponentBits - 1) - 1, 'none');
  const values = Float32Array.from(new Set(Array.from({ length: 2 ** (1 + exponentBits + mantissaBits) }, (_, code) => decodeMinifloat(spec, code) + 0))).sort();
  return codebookElement({ values, codes: values.map((value) => encodeMinifloat(spec, value, true)), tie: 'even' });
}

/** Every split of b bits with at least one exponent bit; the most exponents that are of use are 5. */
function splits(bits: number): { readonly names: string; readonly elements: CodebookElement[] } {
  const pairs = Array.from({ length: Math.min(bits - 1, 5) }, (_, i) => [i + 1, bits - 2 - i] as const).filter(([, mantissa]) => mantissa >= 0);
  return { names: pairs.map(([e, m]) => `E${e}M${m}`).join(', '), elements: pairs.map(([e, m]) => splitElement(e, m)) };
}

export const llmFpFamily: FormatFamily = {
  name: 'llm-fp',
  title: 'Small floats of searched split and bias (LLM-FP4)',
  grammar: 'llm-fp<3..8>[-<tensor|channel|g<n>>]; llm-fp4 alone is llm-fp4-channel',
  listed: ['llm-fp4-channel', 'llm-fp4-g128', 'llm-fp6-channel', 'llm-fp8-channel'],
  layout: 'codes s.e.m | per block: float32 scale 2^(usual bias - bias), split in 1 to 3 bits',
  oracle: 'the small floats of each split, bit for bit, and never a larger error than any of them',
  source: 'Liu et al., LLM-FP4: 4-Bit Floating-Point Quantized Transformers, 2023; Kuzmin et al., FP8 Quantization: The Power of the Exponent, 2022',
  ladders: [[4, 5, 6, 7, 8].map((bits) => `llm-fp${bits}-channel`)],
  parse(id) {
    const match = /^llm-fp(\d+)(?:-(.*))?$/.exec(id);
    if (!match) {
      if (/^llm-/.test(id)) throw new FormatIdError(`"${id}": write the bits, for example llm-fp4`);
      return null;
    }
    const bits = Number(match[1]);
    if (!(bits >= 3 && bits <= 8) || match[1]!.length > 1) throw new FormatIdError(`"${id}": llm-fp has 3 to 8 bits, not ${match[1]}`);
    const { granularity, scaleStorage } = parseIdTail(id, match[2]?.split('-') ?? []);
    if (scaleStorage !== 'f32') throw new FormatIdError(`"${id}": the bias is a float32 number`);
    const { names, elements } = splits(bits);
    return chosenFormat({
      id: `llm-fp${bits}-${tailText(granularity, 'f32')}`, family: 'llm-fp', title: `${bits}-bit float, the best of ${names} and its bias, ${granularityTitle({ granularity, scaleStorage })}`,
      catalogue: ['llm-fp4', 'fp8-exponent'], codeBits: bits, granularity, elements, clips: true,
    });
  },
};
