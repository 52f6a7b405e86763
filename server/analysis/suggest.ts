/** The smallest measured format that keeps a layer above the threshold. */
import { parseFormat } from '../../kernels/formats/registry';
import type { FormatError, WeightScan } from '../../kernels/jobs/job';

export interface Suggestion {
  readonly format: string;
  readonly error: FormatError;
}

/**
 * The format of fewest bits per weight whose SQNR reaches `minimumSqnrDb`; ties go to the smaller error. An error of
 * null SQNR (exact) reaches every threshold. Null when no measured format does.
 */
export function suggestFormat(scan: WeightScan, minimumSqnrDb: number): Suggestion | null {
  let best: Suggestion | null = null;
  for (const [format, error] of Object.entries(scan.formats)) {
    if (error.sqnrDb !== null && error.sqnrDb < minimumSqnrDb) continue;
    if (error.sqnrDb === null && error.mse > 0) continue;
    if (!best || error.bitsPerWeight < best.error.bitsPerWeight || (error.bitsPerWeight === best.error.bitsPerWeight && error.mse < best.error.mse)) best = { format, error };
  }
  return best;
}

/** Exact storage of a weight in a format, in bits. */
export function storageBits(format: string, view: WeightScan['view']): number {
  return parseFormat(format).storage(view).totalBits;
}
