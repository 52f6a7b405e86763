/** What rules read from a run of the model on data: observed values with a place in source. */
import type { ObservedValue } from '../../kernels/jobs/job';
import type { ObservedRole } from '../../kernels/run/observed';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { Layer } from '../linking/layer';
import { countText, plain } from './text';

export interface ObservedPlace {
  /** The layer, or the module whose forward makes the value. */
  readonly layer: Pick<Layer, 'path' | 'span'>;
  readonly value: ObservedValue;
  readonly evidence: string;
}

/** Values of these roles, in the order of the graph; none until activations were looked at. */
export function* observedPlaces(analysis: ModelAnalysis, ...roles: readonly ObservedRole[]): Generator<ObservedPlace> {
  const { activations } = analysis;
  if (!activations) return;
  const evidence = `measured on ${countText(activations.samples, 'sample')} of ${plain(activations.data)}`;
  const byPath = new Map(analysis.link?.layers.map((layer) => [layer.path, layer]));
  for (const value of activations.values) {
    if (!roles.includes(value.role)) continue;
    const layer = byPath.get(value.layer ?? value.module) ?? (value.span ? { path: value.module, span: value.span } : null);
    if (layer) yield { layer, value, evidence };
  }
}

/** The value of a name, for operators that are judged by several. */
export const valueNamed = (analysis: ModelAnalysis, name: string): ObservedValue | undefined => analysis.activations?.values.find(({ value }) => value === name);
