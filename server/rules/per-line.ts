/**
 * One finding per rule and source line. A class written once is used many times, a loop makes many layers: their findings
 * land on the line that constructs them, name all the layers, and carry the worst number.
 */
import type { Layer } from '../linking/layer';
import type { SourceSpan } from '../python/module-tree';
import { layersText } from './layer-names';
import { plain } from './text';

/** What a rule saw on one layer. */
export interface Observation {
  /** A layer, or anything with a path and a place in source. */
  readonly layer: Pick<Layer, 'path' | 'span'>;
  /** How bad, in any unit: the largest is the worst and speaks for the line. */
  readonly badness: number;
}

export interface LineGroup<O extends Observation> {
  readonly span: SourceSpan;
  /** Worst first; ties in the order of the source. */
  readonly observations: readonly O[];
  readonly worst: O;
  /** `layers.0..11.attn.qkv`. */
  readonly names: string;
  /** ` at layers.3.attn.qkv`, or nothing when there is only one layer. */
  readonly atWorst: string;
  readonly layer: string;
  readonly layers: readonly string[];
  /** Other constructions on the line that the finding is also about. */
  readonly related?: readonly { readonly span: SourceSpan; readonly message: string }[];
}

export const spanKey = (span: SourceSpan): string => `${span.startLine}:${span.startColumn}:${span.endLine}:${span.endColumn}:${span.file}`;

/** Groups by file and start line, in the order of first appearance. */
export function perLine<O extends Observation>(observations: Iterable<O>): LineGroup<O>[] {
  const lines = new Map<string, O[]>();
  for (const observation of observations) {
    const { span } = observation.layer;
    const key = `${span.startLine}:${span.file}`;
    const line = lines.get(key);
    if (line) line.push(observation);
    else lines.set(key, [observation]);
  }
  return [...lines.values()].map((line) => {
    const paths = line.map(({ layer }) => layer.path);
    const sorted = [...line].sort((a, b) => b.badness - a.badness);
    const worst = sorted[0]!;
    return {
      span: worst.layer.span,
      observations: sorted,
      worst,
      names: layersText(paths),
      atWorst: line.length > 1 ? ` at ${plain(worst.layer.path)}` : '',
      layer: worst.layer.path,
      layers: paths,
      ...relatedOf(sorted),
    };
  });
}

/** The worst of every other construction on the same line. */
function relatedOf(sorted: readonly Observation[]): { related?: { span: SourceSpan; message: string }[] } {
  const seen = new Set([spanKey(sorted[0]!.layer.span)]);
  const related: { span: SourceSpan; message: string }[] = [];
  for (const { layer } of sorted) {
    if (seen.has(spanKey(layer.span)) || related.length >= 8) continue;
    seen.add(spanKey(layer.span));
    related.push({ span: layer.span, message: `also ${plain(layer.path)}` });
  }
  return related.length > 0 ? { related } : {};
}
