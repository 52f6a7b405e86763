/**
 * Tensors that stand for, or beside, a parameter under another name: weight and spectral normalisation, pruning,
 * torch.nn.utils.parametrize, fake-quant observers, and checkpoints that are quantized already.
 */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import { lookUp, unusedBelow, type NameNode } from './names';

export interface Companions {
  /** Names below the module with their tensors; all belong to the parameter. */
  readonly tensors: readonly { readonly name: string; readonly tensor: TensorInfo; readonly node: NameNode }[];
  /** The one that carries the weight's values up to a factor per output channel, or exactly; null when none does. */
  readonly weight: string | null;
}

/**
 * What replaces parameter `name` of a module whose own tensor is absent. The first row that is complete wins.
 * - weight_norm: w = g v / |v| per output channel, so v has the relative error of w in every per-channel format.
 * - spectral_norm and pruning: the stored original, before division and mask.
 */
const REPLACED: readonly { readonly need: (name: string) => string[]; readonly also: (name: string) => string[]; readonly weight: (name: string) => string | null }[] = [
  { need: (n) => [`${n}_g`, `${n}_v`], also: () => [], weight: (n) => `${n}_v` },
  { need: (n) => [`parametrizations.${n}.original0`, `parametrizations.${n}.original1`], also: () => [], weight: (n) => `parametrizations.${n}.original1` },
  { need: (n) => [`parametrizations.${n}.original`], also: () => [], weight: (n) => `parametrizations.${n}.original` },
  { need: (n) => [`${n}_orig`], also: (n) => [`${n}_mask`, `${n}_u`, `${n}_v`], weight: (n) => `${n}_orig` },
  { need: (n) => [`${n}_packed`], also: (n) => [`${n}_scale`, `${n}_zero_point`, `${n}_shape`, `${n}_g_idx`, `${n}_global_scale`, `${n}_scale_2`, 'input_scale', 'input_global_scale'], weight: () => null },
  { need: () => ['qweight'], also: () => ['qzeros', 'scales', 'g_idx'], weight: () => null },
  { need: (n) => [`_${n}_qdata`], also: (n) => [`_${n}_scale`, `_${n}_zero_point`], weight: () => null },
  { need: (n) => [`${n}_blocks`, `${n}_scales`], also: () => [], weight: () => null },
  // torch.ao.quantization: a packed Linear stores (weight, bias) together.
  { need: () => ['_packed_params._packed_params'], also: () => ['scale', 'zero_point', '_packed_params.dtype'], weight: () => null },
];

/** Tensors that sit beside a parameter that is present. */
const BESIDE = (n: string): string[] => [
  `${n}_scale`, `${n}_scale_inv`, `${n}_scale_2`, `${n}_zero_point`, `${n}_g_idx`, `${n}_mask`, 'input_scale', 'output_scale', 'k_scale', 'v_scale', 'scale', 'zero_point',
  'SCB', `${n}.SCB`, `${n}_format`,
];
/** Children that observers and bitsandbytes hang under a module or a weight. */
const SUBTREES = (n: string): string[] => [`${n}_fake_quant`, 'activation_post_process', 'input_quantizer', 'weight_quantizer', 'output_quantizer', n, `parametrizations.${n}`];

function collect(module: NameNode, names: readonly string[]): { name: string; tensor: TensorInfo; node: NameNode }[] {
  return names.flatMap((name) => {
    const node = lookUp(module, name);
    return node?.tensor && !node.used ? [{ name, tensor: node.tensor, node }] : [];
  });
}

function below(module: NameNode, name: string): { name: string; tensor: TensorInfo; node: NameNode }[] {
  return SUBTREES(name).flatMap((child) => {
    const node = lookUp(module, child);
    if (!node) return [];
    return [...unusedBelow(node)].filter(({ path }) => path.length > 0)
      .map(({ path, node: leaf, tensor }) => ({ name: `${child}.${path.join('.')}`, tensor, node: leaf }));
  });
}

/** What stands for an absent parameter; null when nothing does, so that it is missing. */
export function replacementOf(module: NameNode, name: string): Companions | null {
  for (const row of REPLACED) {
    const needed = collect(module, row.need(name));
    if (needed.length !== row.need(name).length) continue;
    const seen = new Set(needed.map((entry) => entry.node));
    const rest = [...collect(module, row.also(name)), ...below(module, name)].filter((entry) => !seen.has(entry.node) && seen.add(entry.node));
    return { tensors: [...needed, ...rest], weight: row.weight(name) };
  }
  return null;
}

/** What stands beside a parameter that is present: scales, masks, observers. */
export function companionsOf(module: NameNode, name: string): Companions['tensors'] {
  const seen = new Set<NameNode>();
  return [...collect(module, BESIDE(name)), ...below(module, name)].filter((entry) => !seen.has(entry.node) && seen.add(entry.node));
}
