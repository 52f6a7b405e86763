/** Joins a module tree with a checkpoint into layers. Pure: names and shapes only, no bytes are read. */
import { modelTensors, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ModuleTree } from '../python/module-tree';
import { expand, type BoundParameter, type ModuleInstance } from './expand';
import type { Layer, LinkedTensor, LinkResult } from './layer';
import { insertName, nameNode, storedNames, unusedBelow, type StoredName } from './names';
import { buildPattern, tensorAllows } from './pattern';
import { choosePrefix, isTrainingState, startsWith, type PrefixChoice } from './prefix';
import { outputAxisOf, weightsOf } from './quantizable';
import { declaredTies, impliedEmbeddingTies, joinPath, tiedSets } from './ties';

export interface LinkOptions {
  /** The configuration beside the checkpoint says that input and output embeddings are one tensor. */
  readonly tieEmbeddings?: boolean;
}

/**
 * Links a tree with a checkpoint, or, with null, lists the tree's layers unlinked (nothing is then missing).
 * Layers come in the order of the source. Never throws on odd names or shapes.
 */
export function link(tree: ModuleTree, checkpoint: Checkpoint | null, options: LinkOptions = {}): LinkResult {
  const pattern = buildPattern(tree.root);
  const { names, odd } = storedNames(checkpoint ? modelTensors(checkpoint) : [], pattern.segments);
  const choice = choosePrefix(pattern, names);
  const sorted = sortNames(names, choice, (segment) => pattern.root.literal.has(segment));
  const { instances, missing } = expand(pattern, sorted.root, checkpoint !== null);

  const bound = instances.flatMap((instance) => instance.parameters.map((entry) => ({ instance, entry, name: joinPath(instance.path, entry.name) })));
  const entries = bound.map(({ name, entry }) => ({ name, parameter: entry.parameter, tensor: entry.tensor }));
  const tied = tiedSets(entries, options.tieEmbeddings ? [...declaredTies(tree.root, entries), ...impliedEmbeddingTies(instances)] : []);
  const { stored, canonical } = resolveTies(tied, new Map(entries.map(({ name, tensor }) => [name, tensor])));

  const layers = instances.flatMap((instance) => layersOf(instance, stored));
  const layerOfWeight = new Map(layers.flatMap((layer) => (layer.weight ? [[layer.weight.name, layer.path] as const] : [])));
  const owned = layers.map((layer): Layer => {
    const first = layer.weight && canonical.get(layer.weight.name);
    const tiedTo = first && first !== layer.weight!.name ? layerOfWeight.get(first) ?? null : null;
    return tiedTo === null || tiedTo === layer.path ? layer : { ...layer, tiedTo };
  });

  const leftovers = new Set<TensorInfo>([...sorted.colliding, ...[...unusedBelow(sorted.root)].map(({ tensor }) => tensor), ...odd]);
  const inCopy = new Set<TensorInfo>(names.filter((name) => choice.copies.some((copy) => startsWith(name.segments, copy))).map((name) => name.tensor));
  const unlinkedTensors = (checkpoint ? modelTensors(checkpoint) : []).filter((tensor) => leftovers.has(tensor) && !inCopy.has(tensor));
  const matched = bound.filter(({ instance, entry }) => entry.tensor && instance.inferred === undefined).length;
  const absorbed = bound.filter(({ instance, entry }) => entry.tensor && instance.inferred !== undefined).length;
  const elsewhere = groupElsewhere([...sorted.outside, ...names.filter((name) => inCopy.has(name.tensor) && leftovers.has(name.tensor))]);
  const copiesOutside = sorted.outside.filter((name) => inCopy.has(name.tensor) || isTrainingState(name.segments[0]!)).length;
  const inScope = names.length + odd.length - copiesOutside - [...leftovers].filter((tensor) => inCopy.has(tensor)).length;
  return {
    layers: owned,
    unlinkedTensors,
    missing: missing.filter(({ name }) => !stored.get(name)),
    misshaped: misshapen(bound),
    tied,
    prefix: shownPrefix(sorted.linked, choice),
    explained: inScope > 0 ? Math.min(1, matched / inScope) : 0,
    ...(choice.subtree ? { subtree: choice.subtree } : {}),
    matched,
    absorbed,
    considered: inScope,
    elsewhere,
  };
}

interface SortedNames {
  readonly root: ReturnType<typeof nameNode>;
  readonly linked: readonly StoredName[];
  readonly outside: readonly StoredName[];
  readonly colliding: readonly TensorInfo[];
}

/** Puts the names under the chosen prefix into a tree; the others lie outside this model. */
function sortNames(names: readonly StoredName[], choice: PrefixChoice, inSource: (segment: string) => boolean): SortedNames {
  const root = nameNode();
  const linked: StoredName[] = [];
  const outside: StoredName[] = [];
  const colliding: TensorInfo[] = [];
  const subtree = choice.subtree === '' ? [] : choice.subtree.split('.');
  for (const name of names) {
    const training = choice.prefix.length === 0 && name.segments.length > 1 && isTrainingState(name.segments[0]!) && !inSource(name.segments[0]!);
    if (training || !startsWith(name.segments, choice.prefix) || name.segments.length === choice.prefix.length) outside.push(name);
    else if (insertName(root, [...subtree, ...name.segments.slice(choice.prefix.length)], name.tensor)) linked.push(name);
    else colliding.push(name.tensor);
  }
  return { root, linked, outside, colliding };
}

/** The prefix as it stands in the file, wrappers included. */
function shownPrefix(linked: readonly StoredName[], choice: PrefixChoice): string {
  const first = linked[0];
  if (!first) return '';
  const rest = first.segments.slice(choice.prefix.length).join('.');
  const { name } = first.tensor;
  if (name.endsWith(rest)) return name.slice(0, name.length - rest.length);
  return choice.prefix.length > 0 ? `${choice.prefix.join('.')}.` : '';
}

function groupElsewhere(names: readonly StoredName[]): { prefix: string; tensors: number }[] {
  const groups = new Map<string, number>();
  for (const { tensor } of names) {
    const dot = tensor.name.indexOf('.');
    const prefix = dot < 0 ? tensor.name : tensor.name.slice(0, dot + 1);
    groups.set(prefix, (groups.get(prefix) ?? 0) + 1);
  }
  return [...groups].map(([prefix, tensors]) => ({ prefix, tensors }));
}

/** For every tied name: the tensor it is stored as, and the name that carries it (the first stored one). */
function resolveTies(tied: readonly (readonly string[])[], tensors: ReadonlyMap<string, TensorInfo | null>) {
  const stored = new Map<string, TensorInfo>();
  const canonical = new Map<string, string>();
  for (const set of tied) {
    const first = set.find((name) => tensors.get(name));
    for (const name of set) {
      canonical.set(name, first ?? set[0]!);
      const tensor = tensors.get(name) ?? (first !== undefined ? tensors.get(first) : null);
      if (tensor) stored.set(name, tensor);
    }
  }
  return { stored, canonical };
}

function misshapen(bound: readonly { instance: ModuleInstance; entry: BoundParameter; name: string }[]): LinkResult['misshaped'] {
  return bound.flatMap(({ instance, entry, name }) => {
    const { parameter, tensor } = entry;
    if (!parameter?.shape || !tensor || tensorAllows(parameter.shape, tensor)) return [];
    return [{ name, expected: parameter.shape, actual: tensor.shape, parameter, module: instance.module }];
  });
}

/** The layers of one module instance: one, or one per weight and one for the rest. */
function layersOf(instance: ModuleInstance, stored: ReadonlyMap<string, TensorInfo>): Layer[] {
  const { module, path } = instance;
  const weights = weightsOf(instance);
  const tensor = (entry: BoundParameter): LinkedTensor => {
    const name = joinPath(path, entry.name);
    const info = entry.tensor ?? stored.get(name) ?? null;
    return { name, info, parameter: entry.parameter, shapeMismatch: info !== null && entry.parameter !== null && !tensorAllows(entry.parameter.shape, info) };
  };
  const layer = (at: string, entries: readonly BoundParameter[], weight: BoundParameter | null): Layer => {
    const tensors = entries.map(tensor);
    return {
      path: at,
      ...(at === path ? {} : { modulePath: path }),
      ...(instance.inferred === undefined ? {} : { inferred: instance.inferred }),
      module,
      className: instance.inferred !== undefined && path !== module.path ? 'unknown' : module.className,
      // An own parameter is better pointed at where it is made than where its module is constructed.
      span: weight?.parameter && module.kind === 'user' ? weight.parameter.span : module.span,
      tensors,
      linked: tensors.some(({ info }) => info !== null),
      weight: weight ? tensors[entries.indexOf(weight)]! : null,
      outputAxis: weight ? weight.tensor?.outputAxis ?? outputAxisOf(instance, weight.tensor?.shape ?? weight.parameter?.shape ?? null) : 0,
      tiedTo: null,
    };
  };
  const ownWeights = module.kind !== 'torch' && (instance.inferred === undefined || weights.length > 1);
  if (weights.length === 0 || (weights.length === 1 && !ownWeights)) return [layer(path, instance.parameters, weights[0] ?? null)];
  // A small user layer that wraps one `weight` (its own Linear, a quantized layer) is that layer, not a container.
  if (weights.length === 1 && weights[0]!.name === 'weight' && module.children.length === 0) return [layer(path, instance.parameters, weights[0]!)];
  const rest = instance.parameters.filter((entry) => !weights.includes(entry));
  return [
    ...weights.map((weight) => layer(joinPath(path, weight.name), [weight], weight)),
    ...(rest.length > 0 ? [layer(path, rest, null)] : []),
  ];
}

/** Layers that carry a weight of their own: what measurements, allocations and trials go over. Tied partners are left out. */
export function weightLayers(result: LinkResult): Layer[] {
  return result.layers.filter((layer) => layer.weight?.info && layer.tiedTo === null);
}
