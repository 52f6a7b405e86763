/** What was done to a model beside rounding its weights, in words. */
import type { TrialResult } from '../../kernels/jobs/job';

/** What was done beside rounding weights, a sentence for each. */
export function stepTexts({ steps = [], equivalence, activations }: Pick<TrialResult, 'steps' | 'equivalence' | 'activations'>): string[] {
  const place = (places: number): string => (places === 1 ? 'place' : 'places');
  const formats = [...new Set(activations?.layers.map(({ format }) => format))];
  return [
    ...steps.filter(({ kind }) => kind === 'transform').map(({ method, places, of }) => `${method} at ${places} of ${of} ${place(of)}`),
    ...(equivalence ? [`before quantization the transformed model differs from the original by ${equivalence.difference.toPrecision(2)} of the largest output (${equivalence.samples} samples)`] : []),
    ...(activations ? [`inputs of ${activations.layers.length} ${activations.layers.length === 1 ? 'layer' : 'layers'} rounded to ${formats.slice(0, 3).join(', ')}${formats.length > 3 ? '...' : ''} (${activations.range === 'dynamic' ? 'ranges found while the model runs' : `ranges by ${activations.range}`})`] : []),
    ...steps.filter(({ kind }) => kind === 'correction').map(({ method, places, of }) => `${method} at ${places} of ${of} ${place(of)}`),
  ];
}
