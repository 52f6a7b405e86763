import { isBlockScaled } from '../../kernels/formats/format';
import { formatOf, intendedFormat, scannedLayers } from './facts';
import { perLine } from './per-line';
import type { RawFinding, Rule } from './rule';
import { countText, numberText, percentText, sentence } from './text';

const FP16_LARGEST = 65504;
const BF16_LARGEST = 3.3895313892515355e38;
/** Values lost to underflow are noise until they are this share of the weight. */
const UNDERFLOW_SHARE = 1e-3;

interface Loss {
  readonly text: string;
  readonly severity: NonNullable<RawFinding['severity']>;
  readonly share: number;
}

export const dtypeRange: Rule = {
  code: 'BL106',
  name: 'dtype-range',
  title: 'Values outside the range of the stored or target dtype',
  defaultSeverity: 'information',
  needs: 'measurements',
  explanation: `
fp16 holds magnitudes from 6e-8 to ${FP16_LARGEST}. Beyond, a value becomes infinite; below, it becomes zero. bf16 and fp32 models
often have a few such values, and loading them with \`torch.float16\` breaks silently.

Measured, per weight:

- values that overflow fp16: a **warning** when the layer's format is fp16 or keeps its scales in fp16 and they overflow;
  information otherwise, since the file itself holds them well;
- values that are not zero but become zero in fp16, when they are more than ${percentText(UNDERFLOW_SHARE)} of the weight and the format is fp16;
- a weight stored in fp16 or bf16 whose largest value is exactly the largest of its dtype: it was probably clipped when saved.

**What to do:** use bf16, or rescale the layer (fold the factor into the next one) before casting to fp16.
`,
  * check(analysis, settings) {
    const outside = [];
    for (const { layer, scan, evidence } of scannedLayers(analysis)) {
      const format = formatOf(intendedFormat(analysis, layer, settings.targetFormat).id);
      const { statistics } = scan;
      const { count, fp16Overflow, fp16Underflow, absmax } = statistics;
      const stored = layer.weight?.info?.dtype ?? '';
      const toFp16 = format?.id === 'fp16';
      const losses: Loss[] = [];
      if (fp16Overflow > 0 && stored !== 'F16') {
        losses.push({ text: `${countText(fp16Overflow, 'value')} overflow fp16 (largest ${numberText(absmax)}, fp16 ends at ${FP16_LARGEST})`, severity: toFp16 ? 'warning' : 'information', share: fp16Overflow / count });
      }
      if (format && isBlockScaled(format) && format.scaleStorage === 'f16' && format.element.divisor !== null && absmax / format.element.divisor > FP16_LARGEST) {
        losses.push({ text: `the scales of ${format.id} overflow fp16 (largest value ${numberText(absmax)})`, severity: 'warning', share: 1 });
      }
      if (toFp16 && fp16Underflow > UNDERFLOW_SHARE * count) {
        losses.push({ text: `${countText(fp16Underflow, 'value')} (${percentText(fp16Underflow / count)}) become zero in fp16`, severity: 'information', share: fp16Underflow / count });
      }
      const largest = stored === 'F16' ? FP16_LARGEST : stored === 'BF16' ? BF16_LARGEST : null;
      if (largest !== null && absmax >= largest) {
        losses.push({ text: `the largest value is the largest that ${stored} holds (${numberText(largest)}): probably clipped when saved`, severity: 'information', share: 1 / count });
      }
      if (losses.length === 0) continue;
      const warns = losses.some(({ severity }) => severity === 'warning');
      outside.push({ layer, badness: (warns ? 2 : 0) + Math.max(...losses.map(({ share }) => share)), losses, warns, evidence });
    }
    for (const line of perLine(outside)) {
      const { losses, warns, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: ${losses.map(({ text }) => text).join('; ')}${line.atWorst} (${evidence})`),
        severity: warns ? 'warning' : 'information',
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
