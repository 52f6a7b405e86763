/**
 * Functions that take a module and change which tensors it keeps: weight_norm, spectral_norm, pruning. They return the
 * very module they were given, whose `weight` is afterwards computed from the tensors listed here.
 */
import { dim, parseSignature, type Dim, type TorchArgs, type TorchParameter, type TorchSignatureParameter } from './spec';

export interface TorchReparametrization {
  readonly qualifiedName: string;
  /** The first parameter is the module. */
  readonly signature: readonly TorchSignatureParameter[];
  /**
   * The module's own tensors afterwards, in state_dict order. Names may be dotted (`parametrizations.weight.original0`):
   * PyTorch keeps those in a child that comes after all others. Undefined when the arguments do not say which tensor is
   * meant or the module has none of that name.
   */
  apply(args: TorchArgs, own: readonly TorchParameter[], module: { readonly outputAxis?: number }): readonly TorchParameter[] | undefined;
}

type Replacement = (tensor: TorchParameter, args: TorchArgs, outputAxis: number) => TorchParameter[];

function reparametrization(qualifiedName: string, signature: string, replace: Replacement): TorchReparametrization {
  return {
    qualifiedName,
    signature: parseSignature(signature),
    apply(args, own, module) {
      const tensor = own.find((candidate) => candidate.name === args.name);
      if (!tensor) return undefined;
      const made = replace(tensor, args, module.outputAxis ?? 0)
        .map((item) => (tensor.optional ? { ...item, optional: true } : item));
      // state_dict lists parameters, then buffers, then what is in the child `parametrizations`.
      const all = [...own.filter((candidate) => candidate !== tensor), ...made];
      const rank = (item: TorchParameter): number => (item.name.includes('.') ? 2 : item.kind === 'buffer' ? 1 : 0);
      return [0, 1, 2].flatMap((wanted) => all.filter((item) => rank(item) === wanted));
    },
  };
}

/** Magnitude: the shape with every dimension but `dim` as 1; a scalar for dim=None. */
function magnitude(shape: readonly Dim[] | null, axis: unknown): readonly Dim[] | null {
  if (axis === null || axis === -1) return [];
  const at = dim(axis);
  return shape === null || at === null ? null : shape.map((size, index) => (index === at ? size : 1));
}

/** Rows and columns of the matrix whose largest singular value is divided out. */
function matrix(shape: readonly Dim[] | null, axis: number | null): [Dim, Dim] {
  if (shape === null || axis === null) return [null, null];
  const rest = shape.filter((_, index) => index !== axis);
  return [shape[axis] ?? null, rest.includes(null) ? null : rest.reduce<number>((product, size) => product * size!, 1)];
}

const make = (name: string, kind: 'parameter' | 'buffer', shape: readonly Dim[] | null): TorchParameter => ({ name, kind, shape });

/** dim=None means 1 for transposed convolutions and 0 for the rest. */
const spectralAxis = (args: TorchArgs, outputAxis: number): number | null => (args.dim === null ? outputAxis : dim(args.dim));

const pruned: Replacement = (t) => [make(`${t.name}_orig`, 'parameter', t.shape), make(`${t.name}_mask`, 'buffer', t.shape)];

const SPECTRAL = "module, name='weight', n_power_iterations=1, eps=1e-12, dim=None";
const WEIGHT = "module, name='weight', dim=0";

const rows: readonly TorchReparametrization[] = [
  reparametrization('torch.nn.utils.weight_norm', WEIGHT, (t, args) => [
    make(`${t.name}_g`, 'parameter', magnitude(t.shape, args.dim)), make(`${t.name}_v`, 'parameter', t.shape)]),
  reparametrization('torch.nn.utils.parametrizations.weight_norm', WEIGHT, (t, args) => [
    make(`parametrizations.${t.name}.original0`, 'parameter', magnitude(t.shape, args.dim)),
    make(`parametrizations.${t.name}.original1`, 'parameter', t.shape)]),
  reparametrization('torch.nn.utils.spectral_norm', SPECTRAL, (t, args, outputAxis) => {
    const [height, width] = matrix(t.shape, spectralAxis(args, outputAxis));
    return [make(`${t.name}_orig`, 'parameter', t.shape), make(`${t.name}_u`, 'buffer', [height]), make(`${t.name}_v`, 'buffer', [width])];
  }),
  reparametrization('torch.nn.utils.parametrizations.spectral_norm', SPECTRAL, (t, args, outputAxis) => {
    const [height, width] = matrix(t.shape, spectralAxis(args, outputAxis));
    // A vector has nothing to iterate on: it is normalised directly.
    const vectors = t.shape !== null && t.shape.length < 2 ? [] : [
      make(`parametrizations.${t.name}.0._u`, 'buffer', [height]), make(`parametrizations.${t.name}.0._v`, 'buffer', [width])];
    return [make(`parametrizations.${t.name}.original`, 'parameter', t.shape), ...vectors];
  }),
  ...['identity', 'random_unstructured', 'l1_unstructured', 'random_structured', 'ln_structured', 'custom_from_mask'].map((name) =>
    reparametrization(`torch.nn.utils.prune.${name}`, 'module, name, *args, **kwargs', pruned)),
];

/** The reverse: the tensor is kept again under its own name, after the others. */
function removal(qualifiedName: string, signature: string, kept: string, extra: readonly string[]): TorchReparametrization {
  return {
    qualifiedName,
    signature: parseSignature(signature),
    apply(args, own) {
      const name = String(args.name);
      const tensor = own.find((candidate) => candidate.name === name + kept);
      if (!tensor) return undefined;
      const gone = [kept, ...extra].map((suffix) => name + suffix);
      const rest = own.filter((candidate) => !gone.includes(candidate.name));
      const parameters = rest.filter((item) => item.kind === 'parameter');
      return [...parameters, { ...tensor, name }, ...rest.filter((item) => item.kind === 'buffer')];
    },
  };
}

const removals: readonly TorchReparametrization[] = [
  removal('torch.nn.utils.remove_weight_norm', "module, name='weight'", '_v', ['_g']),
  removal('torch.nn.utils.remove_spectral_norm', "module, name='weight'", '_orig', ['_u', '_v']),
  removal('torch.nn.utils.prune.remove', 'module, name', '_orig', ['_mask']),
];

const byName = new Map([...rows, ...removals].map((row) => [row.qualifiedName, row]));

/** The function of that import name, or undefined. `torch.nn.utils.weight_norm.weight_norm` is the same function. */
export function torchReparametrization(qualifiedName: string): TorchReparametrization | undefined {
  return byName.get(qualifiedName) ?? byName.get(qualifiedName.replace(/^(torch\.nn\.utils)\.(weight_norm|spectral_norm)\.(?=\w)/, '$1.'));
}

export function torchReparametrizations(): readonly TorchReparametrization[] {
  return [...byName.values()];
}
