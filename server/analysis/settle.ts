/** Values read off a checkpoint that it contradicts as often as it confirms: they were read wrongly, and are not known. */
import { UNKNOWN_ARGUMENT } from '../python/module-tree';
import { compareFit, fitsWholly, oddNames, rebuild, unknownOf, type Attempt, type RootQuery, type TreeBuilder } from './attempt';

/** Values questioned for one candidate, each a tree. */
const MAX_QUESTIONED = 12;

/**
 * Puts every value that the checkpoint's shapes told ({@link Attempt.resized}) in question. One with which tensors do not fit that
 * fit without it goes back to unknown - unless more tensors have just the shape that it gives: then those few are damaged.
 */
export async function settle(query: RootQuery, builder: TreeBuilder, made: Attempt): Promise<Attempt> {
  let best = made;
  for (const name of Object.keys(made.resized ?? {}).slice(0, MAX_QUESTIONED)) {
    if (fitsWholly(best)) break;
    const { [name]: _, ...resized } = best.resized!;
    const loosened = [...(best.loosened ?? []), name];
    const open = await rebuild(query, builder, best, { ...best.args, ...unknownOf({ loosened }), ...resized, [name]: UNKNOWN_ARGUMENT });
    if (!open || compareFit(open.fit, best.fit) >= 0) continue;
    const left = new Set(oddNames(open));
    const refuted = oddNames(best).filter((one) => !left.has(one)).length;
    if (refuted === 0 || confirmed(best, open) > refuted) continue;
    const { resized: __, ...rest } = open;
    best = { ...rest, ...(Object.keys(resized).length > 0 ? { resized } : {}), loosened };
  }
  return best;
}

/** Tensors whose shape the value tells in full and rightly, and that is open without it. */
function confirmed(told: Attempt, open: Attempt): number {
  const shapes = new Map(open.link.layers.flatMap(({ tensors }) => tensors.map(({ name, parameter }) => [name, parameter?.shape ?? null] as const)));
  return told.link.layers.flatMap(({ tensors }) => tensors).filter(({ name, info, parameter, shapeMismatch }) => {
    if (!info || shapeMismatch || !parameter?.shape || parameter.shape.includes(null)) return false;
    const other = shapes.get(name);
    return !other || other.includes(null);
  }).length;
}
