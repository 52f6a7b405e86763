/** Parameters that a module keeps as others: weight_norm, spectral_norm and pruning, in their old and new forms. */
import { Instance, PyTuple, Tensor, type Value } from '../../python/values/values';
import { hintOf, product } from '../../python/values/symbolic';
import type { Tracer } from '../tracer';
import { reshape, transpose } from './basic';
import { elementwise } from './arithmetic';
import { matmul } from './linear';

/** The parameter of that name as forward sees it; undefined when the module does not keep it as others. */
export function effectiveParameter(g: Tracer, module: Instance, name: string): Tensor | undefined {
  const own = (suffix: string): Tensor | undefined => tensorOf(module.parameters.get(name + suffix)) ?? tensorOf(module.buffers.get(name + suffix));
  const [magnitude, direction] = [own('_g'), own('_v')];
  if (magnitude && direction) return weightNorm(g, magnitude, direction);
  const original = own('_orig');
  if (original) {
    const [u, v, mask] = [own('_u'), own('_v'), own('_mask')];
    if (mask) return elementwise(g, 'Mul', original, mask);
    return u && v ? spectralNorm(g, module, original, u, v) : undefined;
  }
  const holder = module.modules.get('parametrizations');
  const list = holder instanceof Instance ? holder.modules.get(name) : undefined;
  if (!(list instanceof Instance)) return undefined;
  const kept = (key: string): Tensor | undefined => tensorOf(list.parameters.get(key));
  const [first, second, whole] = [kept('original0'), kept('original1'), kept('original')];
  if (first && second) return weightNorm(g, first, second);
  const power = list.modules.get('0');
  if (!whole || !(power instanceof Instance)) return undefined;
  const [u, v] = ['_u', '_v'].map((key) => tensorOf(power.buffers.get(key)));
  if (u && v) return spectralNorm(g, module, whole, u, v);
  return power.cls.lookup('forward') === undefined ? undefined : tensorOf(g.call(power, whole));
}
const tensorOf = (value: Value | undefined): Tensor | undefined => (value instanceof Tensor ? value : undefined);

/** Salimans & Kingma 2016: w = g v / |v|, the length being taken over the dimensions in which g has size 1. */
function weightNorm(g: Tracer, magnitude: Tensor, direction: Tensor): Tensor {
  const [sizes, lengths] = [g.dims(direction).map(hintOf), g.dims(magnitude).map(hintOf)];
  const axes = sizes.map((_, i) => i).filter((i) => (lengths[i] ?? 1) === 1);
  // Dimensions of size 1 have nothing to add up; where nothing has, the length is the value's magnitude.
  const length = axes.length === 0 ? g.op('abs', direction) : g.opWith('torch_norm', [direction], { dim: new PyTuple(axes), keepdim: true }) as Tensor;
  return elementwise(g, 'Mul', direction, elementwise(g, 'Div', magnitude, length));
}

/** Miyato et al. 2018, in use: w / (u' W v) with the stored vectors, W being the weight with its outputs as rows. */
function spectralNorm(g: Tracer, module: Instance, weight: Tensor, u: Tensor, v: Tensor): Tensor {
  const dims = g.dims(weight);
  const outputs = module.cls.mro.some(({ native }) => native.spec?.outputAxis === 1) ? 1 : 0;
  const rows = [outputs, 1 - outputs, 0].find((axis) => hintOf(dims[axis] ?? 0) === hintOf(g.dims(u)[0]!)) ?? 0;
  const order = [rows, ...dims.map((_, i) => i).filter((i) => i !== rows)];
  const matrix = reshape(g, transpose(g, weight, order), [dims[rows]!, product(dims.filter((_, i) => i !== rows))]);
  const sigma = matmul(g, u, matmul(g, matrix, v));
  return elementwise(g, 'Div', weight, sigma);
}
