/** Layers that get one format together: read off the traced graph, and off their names where there is none. */
import { COUPLINGS, coupledTensors, type Application, type Coupling } from '../../kernels/graph/coupled';
import type { Graph } from '../../kernels/graph/graph';
import { sitesOf } from '../../kernels/run/sites';
import type { Layer } from '../linking/layer';
import { didYouMean, UserError } from './user-error';

export { COUPLINGS, type Coupling };

export interface CoupledGroup {
  readonly kind: Coupling;
  /** Paths of two or more layers, in the order of the model. */
  readonly layers: readonly string[];
  readonly by: 'graph' | 'names';
}

/** @throws UserError for a kind there is not. */
export function couplingsNamed(names: readonly string[]): Coupling[] {
  return [...new Set(names.flatMap((name): readonly Coupling[] => {
    if (name === 'all') return COUPLINGS;
    const found = COUPLINGS.find((each) => each === name);
    if (!found) throw new UserError(`${JSON.stringify(name)} is no kind of coupled layers.${didYouMean(name, COUPLINGS)} There are: ${COUPLINGS.join(', ')}, all`);
    return [found];
  }))];
}

/**
 * @param layers those that carry weights
 * @param graph as far as the source could be followed; null where it could not
 */
export function coupledLayers(layers: readonly Layer[], graph: Graph | null, kinds: readonly Coupling[]): { groups: CoupledGroup[]; notes: string[] } {
  const pathOf = new Map(layers.map((layer) => [layer.weight!.info!.name, layer.path]));
  const order = new Map(layers.map(({ path }, i) => [path, i]));
  const applications: Application[] = graph ? layers.flatMap((layer) => sitesOf(graph, layer.weight!.info!.name).filter(({ kind }) => kind !== 'lookup')) : [];
  const traced = new Set(applications.map(({ tensor }) => pathOf.get(tensor)!));
  const untraced = layers.filter(({ path }) => !traced.has(path)).map(({ path }) => path);
  const groups = kinds.flatMap((kind): CoupledGroup[] => [
    ...(graph ? coupledTensors(graph, applications, kind) : []).map((tensors) => ({ kind, by: 'graph' as const, layers: tensors.map((tensor) => pathOf.get(tensor)!).sort((a, b) => order.get(a)! - order.get(b)!) })),
    ...groupsByName(untraced, kind).map((paths) => ({ kind, by: 'names' as const, layers: paths })),
  ]);
  const missing = kinds.filter((kind) => !groups.some((group) => group.kind === kind));
  const untold = missing.includes('residual') && traced.size === 0;
  const none = missing.filter((kind) => !(untold && kind === 'residual'));
  const notes = [
    ...(untold ? ['layers that meet in residual additions are known from the graph only, and the source could not be followed to one: none were coupled'] : []),
    ...(none.length > 0 ? [`no layers were found to couple for ${none.join(', ')}`] : []),
  ];
  return { groups, notes };
}

/** What the last part of a path says a projection is, with the rest of the name: `q` of `q_proj` is `*_proj`. */
const QKV = /^((?:to|w|c|fc|lin|linear|proj|in|self|attn)?_?)(q|k|v|query|key|value)((?:s)?_?(?:proj|lin|linear|layer|attn|fc|projection|conv)?)$/i;
const GATED: readonly (readonly string[])[] = [['gate_proj', 'up_proj'], ['w1', 'w3'], ['gate', 'up'], ['wi_0', 'wi_1'], ['fc1_g', 'fc1_x'], ['w_gate', 'w_up'], ['linear_gate', 'linear_up']];

function groupsByName(paths: readonly string[], kind: Coupling): string[][] {
  if (kind === 'residual') return [];
  const groups = new Map<string, { path: string; role: string }[]>();
  for (const path of paths) {
    const dot = path.lastIndexOf('.');
    const [parent, leaf] = [path.slice(0, dot + 1), path.slice(dot + 1)];
    const match = QKV.exec(leaf);
    const pair = GATED.findIndex((names) => names.includes(leaf));
    const [name, role] = kind === 'qkv' ? [match && `${match[1]}*${match[3]}`, match?.[2]![0]] : [pair < 0 ? null : String(pair), leaf];
    if (name === null || role === undefined) continue;
    const key = JSON.stringify([parent, name.toLowerCase()]);
    groups.set(key, [...(groups.get(key) ?? []), { path, role: role.toLowerCase() }]);
  }
  return [...groups.values()].filter((list) => list.length > 1 && new Set(list.map(({ role }) => role)).size === list.length).map((list) => list.map(({ path }) => path));
}
