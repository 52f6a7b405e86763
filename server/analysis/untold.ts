/** Arguments that no shape of the checkpoint tells: heads of an attention, a window. Taken for their defaults, and said. */
import { UNKNOWN_ARGUMENT, type ModuleTree } from '../python/module-tree';
import { modulesOf, rebuild, unknownOf, type Attempt, type RootQuery, type TreeBuilder } from './attempt';
import { isOpen } from './other-arguments';

/** Arguments tried; each costs a tree. */
const MAX_TRIED = 12;
/** Another head says nothing about the rest of the model. */
const OF_THE_HEAD = /class|vocab/i;
/** Whole by chance, or without effect on a model in use. */
const HARMLESS = /drop|std|eps|seed|prob|momentum|padding_idx/i;

/**
 * Where a checkpoint is of other sizes than the source's defaults, the defaults of arguments that leave no trace in shapes may be
 * wrong too, and the model would run all the same and give something else. An argument leaves none when not knowing it makes no
 * size in the tree unknown.
 *
 * @returns `name = default` of each; none when the model has the sizes of its defaults, or the user named its arguments.
 */
export async function untoldArguments(query: RootQuery, builder: TreeBuilder, made: Attempt): Promise<readonly string[]> {
  const told = Object.keys(made.resized ?? {}).filter((name) => !OF_THE_HEAD.test(name));
  if (!query.checkpoint || query.args || told.length + (made.loosened?.length ?? 0) === 0) return [];
  const given = { ...made.args, ...unknownOf(made), ...made.resized };
  const open = (made.candidate.adjustable ?? []).filter(({ name, value }) => Number.isInteger(value) && !HARMLESS.test(name) && isOpen(given, name));
  const before = unknownSizes(made.tree);
  const found = (made.candidate.adjustable ?? []).filter(({ name, value }) => value !== undefined && made.loosened?.includes(name));
  for (const argument of open.slice(0, MAX_TRIED)) {
    const without = await rebuild(query, builder, made, { ...given, [argument.name]: UNKNOWN_ARGUMENT });
    if (without && unknownSizes(without.tree) === before) found.push(argument);
  }
  return found.map(({ name, value }) => `${name} = ${JSON.stringify(value)}`);
}

function unknownSizes({ root }: ModuleTree): number {
  let count = 0;
  for (const { path, parameters, unknown } of modulesOf(root)) {
    if (unknown || path.split('.').includes('*')) count += 1;
    for (const { shape, optional } of parameters) count += (optional ? 1 : 0) + (shape === null ? 1 : shape.filter((size) => size === null).length);
  }
  return count;
}

/** What a trace has to say of them. */
export const untoldText = (untold: readonly string[]): string =>
  `${untold.slice(0, 6).join(', ')}${untold.length > 6 ? ` and ${untold.length - 6} more` : ''}: defaults of the source, which no shape tells, though the checkpoint is of other sizes; others are named in bitlens.json ("args")`;
