/**
 * Which tensor of a module is given bits.
 *
 * - Layers of torch.nn with weights (linear, convolution, embedding, attention projections, recurrent weights): every
 *   floating-point parameter of two or more dimensions, except normalisation layers and the gains of weight_norm.
 * - An own `nn.Parameter`: when at least two of its dimensions are larger than 1 and its name is not a bias. A class
 *   token [1, 1, d] or a LayerScale vector keeps its precision.
 * - Buffers never.
 */
import { FLOAT_DTYPES } from '../../kernels/checkpoint/checkpoint';
import type { ModuleNode } from '../python/module-tree';
import { torchModule } from '../python/torch/table';
import type { BoundParameter, ModuleInstance } from './expand';

const NORM_CLASS = /(?:norm|^bn\d*d?)$/i;
const GAIN_OR_BIAS = /(?:^|[._])(?:bias\w*|g|original0|scale|scales|gamma|beta|mask)$/;

/** True for layers whose parameters rescale activations: few values, high effect, kept as they are. */
export function isNorm(module: ModuleNode): boolean {
  const row = torchModule(module.qualifiedName);
  return row ? row.role === 'norm' : NORM_CLASS.test(module.className);
}

/** GPT-2's Conv1D stores its weight [in, out]. */
const isConv1D = (module: ModuleNode): boolean => module.className === 'Conv1D' && torchModule(module.qualifiedName) === undefined;

/** The output channel dimension of a weight. Own parameters with leading ones (position tables) take the first real one. */
export function outputAxisOf(instance: ModuleInstance, shape: readonly (number | null)[] | null): number {
  if (instance.inferred !== undefined) return 0;
  const row = torchModule(instance.module.qualifiedName);
  if (row) return row.outputAxis ?? 0;
  if (isConv1D(instance.module)) return 1;
  return shape?.[0] === 1 && shape.length > 1 && shape[1] !== 1 ? 1 : 0;
}

/** The entries of a module instance that are weights to quantize, in state_dict order. */
export function weightsOf(instance: ModuleInstance): BoundParameter[] {
  if (instance.inferred === undefined && isNorm(instance.module)) return [];
  const torch = instance.inferred === undefined && instance.module.kind === 'torch';
  return instance.parameters.filter((entry) => {
    const replaced = entry.standsFor !== undefined;
    if (replaced && !entry.carriesWeight) return false;
    if (!replaced && entry.parameter === null && instance.inferred === undefined) return false;
    if (entry.parameter?.kind === 'buffer') return false;
    if (!replaced && GAIN_OR_BIAS.test(entry.name)) return false;
    if (entry.tensor && !FLOAT_DTYPES.has(entry.tensor.dtype)) return false;
    const shape = entry.tensor?.shape ?? entry.parameter?.shape ?? null;
    if (shape === null || shape.length < 2 || shape.some((dim) => dim === 0)) return false;
    if (torch || replaced) return true;
    return shape.filter((dim) => dim !== 1).length >= 2;
  });
}
