/** Measurements of weights by the kernel, remembered per checkpoint contents, weight and format. */
import path from 'node:path';
import type { ScaleRule } from '../../kernels/formats/format';
import { parseFormat } from '../../kernels/formats/registry';
import type { Checkpoint } from '../../kernels/checkpoint/checkpoint';
import type { FormatError, WeightScan, WeightSpec } from '../../kernels/jobs/job';
import type { Layer } from '../linking/layer';
import { record } from './json-reader';
import type { KernelPort, RunOptions } from './ports';

/** The weight of a layer as the kernel wants it. */
export function specOf(layer: Layer, key = layer.path, tensor = layer.weight!.info!.name): WeightSpec {
  const groups = layer.outputAxis === 1 && layer.module.kind === 'torch' && typeof layer.module.args.groups === 'number' ? layer.module.args.groups : 1;
  return { key, tensor, outputAxis: layer.outputAxis, ...(groups > 1 ? { groups } : {}) };
}

interface Known {
  readonly scan: Omit<WeightScan, 'key' | 'formats'>;
  readonly formats: Map<string, FormatError>;
}

/** Scans kept of at most this many checkpoints, and weights of each. */
const MAX_CHECKPOINTS = 8;
const MAX_WEIGHTS = 100_000;

const weightKey = (spec: WeightSpec, rule: ScaleRule): string => JSON.stringify([spec.tensor, spec.outputAxis, spec.groups ?? 1, rule]);

export interface Measured {
  readonly scans: ReadonlyMap<string, WeightScan>;
  readonly skipped: readonly { readonly key: string; readonly reason: string }[];
}

export class MeasurementCache {
  private readonly checkpoints = new Map<string, { weights: Map<string, Known>; skipped: Map<string, string> }>();

  constructor(private readonly kernel: KernelPort) {}

  private entry(identity: string): { weights: Map<string, Known>; skipped: Map<string, string> } {
    let entry = this.checkpoints.get(identity);
    this.checkpoints.delete(identity);
    entry ??= { weights: new Map(), skipped: new Map() };
    this.checkpoints.set(identity, entry);
    if (this.checkpoints.size > MAX_CHECKPOINTS) this.checkpoints.delete(this.checkpoints.keys().next().value!);
    return entry;
  }

  /** What is known without asking the kernel; null when a weight has never been measured in one of the formats. */
  known(identity: string, specs: readonly WeightSpec[], formats: readonly string[], rule: ScaleRule): Measured | null {
    const entry = this.checkpoints.get(identity);
    if (!entry || specs.length === 0) return null;
    const scans = new Map<string, WeightScan>();
    const skipped: { key: string; reason: string }[] = [];
    for (const spec of specs) {
      const key = weightKey(spec, rule);
      const reason = entry.skipped.get(key);
      if (reason !== undefined) { skipped.push({ key: spec.key, reason }); continue; }
      const known = entry.weights.get(key);
      if (!known || formats.some((format) => !known.formats.has(format))) return null;
      scans.set(spec.key, { ...known.scan, key: spec.key, formats: record(formats.map((format) => [format, known.formats.get(format)!] as const)) });
    }
    return { scans, skipped };
  }

  /**
   * Measures weights in formats (canonical ids), asking the kernel only for what is not known.
   *
   * @throws what the kernel throws: JobError for bad input, JobCancelled, or that the process is gone.
   */
  async measure(checkpoint: Checkpoint, identity: string, specs: readonly WeightSpec[], formats: readonly string[], rule: ScaleRule, options: RunOptions): Promise<Measured> {
    const known = this.known(identity, specs, formats, rule);
    if (known) return known;
    const entry = this.entry(identity);
    const needed = new Map<string, { specs: WeightSpec[]; formats: string[] }>();
    for (const spec of specs) {
      const key = weightKey(spec, rule);
      if (entry.skipped.has(key)) continue;
      const lacking = formats.filter((format) => !entry.weights.get(key)?.formats.has(format));
      if (lacking.length === 0 && entry.weights.has(key)) continue;
      const batch = needed.get(lacking.join(' '));
      if (batch) batch.specs.push(spec);
      else needed.set(lacking.join(' '), { specs: [spec], formats: lacking });
    }
    for (const batch of needed.values()) {
      const byKey = new Map(batch.specs.map((spec) => [spec.key, weightKey(spec, rule)]));
      const result = await this.kernel.run('scan', { checkpoint: checkpoint.path, weights: batch.specs, formats: batch.formats, scaleRule: rule }, options);
      for (const scan of result.weights) this.remember(entry.weights, byKey.get(scan.key), scan);
      for (const { key, reason } of result.skipped) {
        const weight = byKey.get(key);
        if (weight !== undefined) entry.skipped.set(weight, reason);
      }
    }
    const measured = this.known(identity, specs, formats, rule);
    if (!measured) throw new Error('the kernel process left weights out of its answer');
    return measured;
  }

  private remember(weights: Map<string, Known>, key: string | undefined, scan: WeightScan): void {
    if (key === undefined) return;
    const known = weights.get(key);
    if (known) {
      for (const [format, error] of Object.entries(scan.formats)) known.formats.set(format, error);
      return;
    }
    if (weights.size >= MAX_WEIGHTS) weights.clear();
    const { key: _key, formats, ...rest } = scan;
    weights.set(key, { scan: rest, formats: new Map(Object.entries(formats)) });
  }
}

/** Canonical ids, each once, in the order given. @throws FormatIdError */
export function canonicalFormats(ids: readonly string[]): string[] {
  return [...new Set(ids.map((id) => parseFormat(id).id))];
}

/** One sentence that says where numbers come from. */
export function weightEvidence(checkpoint: Checkpoint, rule: ScaleRule, { scans, skipped }: Measured): string {
  const left = skipped.length > 0 ? `; ${skipped.length} not measured (${skipped[0]!.key}: ${skipped[0]!.reason})` : '';
  return `Measured on the weights of ${path.basename(checkpoint.path)} (${scans.size} ${scans.size === 1 ? 'weight' : 'weights'} read whole, round-to-nearest, ${rule} scales); no calibration data${left}`;
}
