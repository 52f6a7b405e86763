import type { FormatError } from '../../kernels/jobs/job';
import { DEFAULT_SETTINGS } from '../protocol';
import { formatOf, intendedFormat, scannedLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { decibelText, sentence } from './text';

/** Error power four times what the threshold allows: the layer is expected to break, not only to lose. */
const BREAKS_BELOW_DB = 6;

/** SQNR of an error; an exact format is infinite, a weight without signal has none. */
function sqnrOf(error: FormatError): number | null {
  return error.sqnrDb ?? (error.mse === 0 ? Infinity : null);
}

/** The measured format with the fewest bits per weight that keeps at least `least` dB. */
export function cheapestPassing(formats: Readonly<Record<string, FormatError>>, least: number): { readonly id: string; readonly sqnrDb: number } | null {
  let best: { id: string; sqnrDb: number; bits: number } | null = null;
  for (const [id, error] of Object.entries(formats)) {
    const sqnrDb = sqnrOf(error);
    if (sqnrDb === null || sqnrDb < least) continue;
    if (best === null || error.bitsPerWeight < best.bits || (error.bitsPerWeight === best.bits && sqnrDb > best.sqnrDb)) best = { id, sqnrDb, bits: error.bitsPerWeight };
  }
  return best;
}

export const lowSqnr: Rule = {
  code: 'BL101',
  name: 'low-sqnr',
  title: 'Layer loses too much in the target format',
  defaultSeverity: 'information',
  needs: 'measurements',
  explanation: `
The signal-to-quantization-noise ratio (SQNR) compares the power of a layer's weights with the power of the error that a
format makes on them: 20 dB means that the error has one percent of the power of the weights, each 6 dB is one bit.

The format is the one that the recipe gives the layer, else \`bitlens.targetFormat\`. The finding appears when the measured
SQNR is below \`bitlens.minimumSqnrDb\` (default ${DEFAULT_SETTINGS.minimumSqnrDb}): as information, and as a warning when it is more than ${BREAKS_BELOW_DB} dB below, where
the error has four times the power that the threshold allows.

The number is measured on the weights alone. It says how much of the weight is lost, not yet how much accuracy: a trial
tells that.

**What to do:** give the layer the suggested format in the recipe (quick fix), which is the cheapest measured format that
keeps the threshold; or use a finer granularity (\`g128\` instead of \`channel\`), or MSE-searched clipping.
`,
  * check(analysis, settings) {
    const least = settings.minimumSqnrDb;
    const low = [];
    for (const { layer, scan, evidence } of scannedLayers(analysis)) {
      const format = formatOf(intendedFormat(analysis, layer, settings.targetFormat).id);
      const error = format && Object.hasOwn(scan.formats, format.id) ? scan.formats[format.id]! : null;
      const sqnrDb = error && sqnrOf(error);
      if (!format || sqnrDb === null || sqnrDb >= least) continue;
      low.push({ layer, badness: -sqnrDb, sqnrDb, format: format.id, cure: cheapestPassing(scan.formats, least), evidence });
    }
    for (const line of perLine(low)) {
      const { sqnrDb, format, cure, evidence } = line.worst;
      const advice = cure === null ? 'no measured format reaches it'
        : `${cure.id} ${cure.sqnrDb === Infinity ? 'is exact' : `keeps ${decibelText(cure.sqnrDb)}`}`;
      yield {
        message: sentence(`${line.names}: ${line.layers.length > 1 ? 'worst ' : ''}${decibelText(sqnrDb)} in ${format}${line.atWorst}, below ${decibelText(least)}; ${advice} (${evidence})`),
        ...(sqnrDb < least - BREAKS_BELOW_DB ? { severity: 'warning' as const } : {}),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
        suggestion: {
          layer: line.layer, ...(cure && { format: cure.id }),
          layers: line.observations.flatMap(({ layer, cure: own }) => (own ? [{ path: layer.path, format: own.id }] : [])),
        },
      };
    }
  },
};
