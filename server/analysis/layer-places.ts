/** Where layers lie in their model: what priors go by. */
import type { LayerPlace } from '../../kernels/methods/method';

/** @param paths of all layers with weights, in the order of the model */
export function layerPlaces(paths: readonly string[]): (path: string) => LayerPlace {
  const places = new Map(paths.map((path, i) => [path, { path, depth: paths.length < 2 ? 0 : i / (paths.length - 1) }]));
  return (path) => places.get(path) ?? { path, depth: 0 };
}
