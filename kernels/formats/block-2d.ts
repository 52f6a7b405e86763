/**
 * Two-dimensional blocks: one float32 scale (and zero point) for r rows by c columns, as fine-grained FP8 checkpoints have
 * (128 x 128). Blocks at the edges are smaller. Elements, scales and rules are those of the one-dimensional format.
 */
import { findBlockScales } from './clip-search';
import { dequantizeElement, elementCodes, encodeElement, hasZeroPoint, loadedCode } from './element';
import { bitsToFloats, floatBits } from './fields';
import { FormatIdError, isBlockScaled, type FormatFamily, type WeightView } from './format';
import { heldFormat, type FieldValues } from './held-format';
import { intFamily } from './int';
import { fp8Family, fpFamily } from './minifloat';

const BASES = [intFamily, fp8Family, fpFamily];
const MOST = 4096;

export const block2dFamily: FormatFamily = {
  name: 'block2d',
  title: 'Two-dimensional blocks',
  grammar: '<int or small float without its blocks>-b<rows>x<columns>; for example fp8-e4m3-b128x128 or int8-sym-b64x64',
  listed: ['fp8-e4m3-b128x128', 'int8-sym-b128x128', 'int4-asym-b32x32', 'fp4-e2m1-b16x16'],
  layout: 'codes row-major | one float32 scale for each block of r x c, blocks row-major (asymmetric: and a zero point)',
  oracle: 'the same element per tensor, bit for bit, on each block',
  source: 'DeepSeek-AI, DeepSeek-V3 Technical Report, 2024',
  ladders: [['int2-sym-b32x32', 'int4-sym-b32x32', 'int8-sym-b32x32']],
  parse(id) {
    const match = /^(.*)-b(\d{1,6})x(\d{1,6})$/.exec(id);
    if (!match) return null;
    const [high, wide] = [Number(match[2]), Number(match[3])];
    if (match[2]!.startsWith('0') || match[3]!.startsWith('0') || high > MOST || wide > MOST) throw new FormatIdError(`"${id}": a block has 1 to ${MOST} rows and columns`);
    const base = BASES.map((family) => family.parse(`${match[1]}-tensor`)).find((format) => format !== null);
    if (!base || !isBlockScaled(base)) throw new FormatIdError(`"${id}": two-dimensional blocks are for integers and small floats`);
    const { element, codeBits } = base;
    const asymmetric = hasZeroPoint(element);
    /** Signed codes are stored with half the range added. */
    const offset = element.kind === 'int' && element.low < 0 ? 2 ** (codeBits - 1) : 0;
    const across = ({ cols }: WeightView): number => Math.ceil(cols / wide);
    const count = (view: WeightView): number => Math.ceil(view.rows / high) * across(view);
    const blockOf = (view: WeightView): ((i: number) => number) => {
      const perRow = across(view);
      return (i) => Math.floor(Math.floor(i / view.cols) / high) * perRow + Math.floor((i % view.cols) / wide);
    };
    const codesOf = (weights: Float32Array, view: WeightView, scales: Float32Array, zeroPoints: ArrayLike<number> | null): Uint16Array => {
      const at = blockOf(view);
      return Uint16Array.from(weights, (x, i) => encodeElement(element, x, scales[at(i)]!, zeroPoints?.[at(i)] ?? 0) + offset);
    };
    const partsOf = (values: FieldValues): { scales: Float32Array; zeroPoints: ArrayLike<number> | null } => ({ scales: bitsToFloats(values[1]!), zeroPoints: values[2] ?? null });
    return heldFormat({
      id: `${base.id.replace(/-tensor$/, '')}-b${high}x${wide}`, family: 'block2d', title: `${base.title.replace(/, per tensor$/, '')}, per block of ${high} x ${wide}`,
      catalogue: base.catalogue, codeBits, granularity: { kind: 'tensor' }, holds: 'row', rowsAtOnce: high, scaleRules: ['absmax', 'mse'],
      traits: { monotone: false, signSymmetric: base.traits.signSymmetric, idempotent: true },
      fields: (view) => [
        { name: 'codes', part: 'code', bits: codeBits, count: view.rows * view.cols },
        { name: 'scales', part: 'scale', bits: 32, count: count(view) },
        ...(asymmetric ? [{ name: 'zero points', part: 'zeroPoint' as const, bits: codeBits, count: count(view) }] : []),
      ],
      encode: (weights, view, rule, poll) => {
        const scales = new Float32Array(count(view));
        const zeroPoints = new Uint16Array(asymmetric ? scales.length : 0);
        for (let top = 0, block = 0; top < view.rows; top += high) {
          const bottom = Math.min(top + high, view.rows);
          for (let left = 0; left < view.cols; left += wide, block += 1) {
            poll();
            const right = Math.min(left + wide, view.cols);
            const values = new Float32Array((bottom - top) * (right - left));
            for (let row = top; row < bottom; row += 1) values.set(weights.subarray(row * view.cols + left, row * view.cols + right), (row - top) * (right - left));
            const found = findBlockScales(element, 'f32', values, { rows: 1, cols: values.length }, { kind: 'tensor' }, rule);
            scales[block] = found.scales[0]!;
            if (asymmetric) zeroPoints[block] = found.zeroPoints![0]!;
          }
        }
        return [codesOf(weights, view, scales, asymmetric ? zeroPoints : null), floatBits(scales), ...(asymmetric ? [zeroPoints] : [])];
      },
      encodeLike: (weights, view, like) => {
        const { scales, zeroPoints } = partsOf(like);
        return [codesOf(weights, view, scales, zeroPoints), ...like.slice(1)];
      },
      decode: (values, view) => {
        const at = blockOf(view);
        const { scales, zeroPoints } = partsOf(values);
        return Float32Array.from(values[0]!, (code, i) => dequantizeElement(element, loadedCode(element, code - offset), scales[at(i)]!, zeroPoints?.[at(i)] ?? 0));
      },
      candidates: (values, view, index) => {
        if (codeBits > 8) return null;
        const { scales, zeroPoints } = partsOf(values);
        const block = blockOf(view)(index);
        return elementCodes(element, codeBits).map((code) => dequantizeElement(element, code, scales[block]!, zeroPoints?.[block] ?? 0));
      },
    });
  },
};
