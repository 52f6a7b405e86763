/** Names for values that are added to a graph. */
import type { Graph } from './graph';

/** Gives each name that is asked for, or where the graph has it already that name with a number behind it. */
export function freshNames({ inputs, outputs, nodes, initializers }: Graph): (wanted: string) => string {
  const taken = new Set([...inputs, ...outputs, ...initializers].map(({ name }) => name));
  // What graphs within nodes call their own is not listed; those names are looked up from within only.
  for (const node of nodes) for (const name of [...node.inputs, ...node.outputs, ...node.captures ?? []]) taken.add(name);
  return (wanted) => {
    let name = wanted;
    for (let count = 2; taken.has(name); count += 1) name = `${wanted}_${count}`;
    taken.add(name);
    return name;
  };
}
