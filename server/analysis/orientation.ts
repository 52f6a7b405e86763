/** Which dimension of a weight counts output channels, where the graph tells: `x @ self.weight` has them last, whatever the class. */
import type { Graph } from '../../kernels/graph/graph';
import type { WeightSpec } from '../../kernels/jobs/job';
import { allSites } from '../../kernels/run/sites';

/** Specs as the graph applies their weights. What it does not tell, or tells in two ways, stays as the class of the layer has it. */
export function orientedBy(graph: Graph): <Spec extends WeightSpec>(spec: Spec) => Spec {
  const sites = allSites(graph);
  return (spec) => {
    const axes = new Set(sites.get(spec.tensor)?.filter(({ kind }) => kind === 'linear').map(({ outputAxis }) => outputAxis));
    const [axis] = axes;
    return axes.size === 1 && axis !== undefined && axis !== spec.outputAxis && spec.groups === undefined ? { ...spec, outputAxis: axis } : spec;
  };
}
