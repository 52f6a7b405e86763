/** Layer: a module joined with its tensors; the unit that is given bits. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ModuleNode, ParameterNode, SourceSpan } from '../python/module-tree';

export interface LinkedTensor {
  /** Name in state_dict: module path + parameter name. */
  readonly name: string;
  /** Null when the source's parameter is not in the checkpoint. */
  readonly info: TensorInfo | null;
  readonly parameter: ParameterNode | null;
  /** Where the source's shape contradicts the checkpoint's. */
  readonly shapeMismatch: boolean;
}

export interface Layer {
  /**
   * Module path with every `*` replaced by what the checkpoint holds. A module with several weights (LSTM, attention with
   * separate projections) and a module that uses own `nn.Parameter`s is one layer per weight, `lstm.weight_ih_l0`, plus
   * one of the module's own path for what is left (biases).
   */
  readonly path: string;
  /** Path of the module itself; absent when it is `path`. */
  readonly modulePath?: string;
  /** Set when the source does not say what is inside the module: the layer is known from the checkpoint's names only. */
  readonly inferred?: string;
  readonly module: ModuleNode;
  readonly className: string;
  readonly span: SourceSpan;
  readonly tensors: readonly LinkedTensor[];
  /** True when at least one parameter is joined with a tensor of the checkpoint. */
  readonly linked: boolean;
  /** The tensor that is given bits (a floating-point weight with 2 or more dimensions); null for layers that keep their precision. */
  readonly weight: LinkedTensor | null;
  /** Which dimension of the weight is the output channel. */
  readonly outputAxis: number;
  /** Path of the layer whose tensor this one shares (tied weights); that layer carries the bytes and the measurements. */
  readonly tiedTo: string | null;
}

export interface LinkResult {
  readonly layers: readonly Layer[];
  /** Tensors of the checkpoint that no module explains. */
  readonly unlinkedTensors: readonly TensorInfo[];
  /** Parameters of the source that the checkpoint does not have. */
  readonly missing: readonly { readonly name: string; readonly parameter: ParameterNode; readonly module: ModuleNode }[];
  readonly misshaped: readonly { readonly name: string; readonly expected: readonly (number | null)[]; readonly actual: readonly number[]; readonly parameter: ParameterNode; readonly module: ModuleNode }[];
  /** Sets of names that are one tensor. */
  readonly tied: readonly (readonly string[])[];
  /** Prefix that was taken off the checkpoint's names (`module.`, `model.`, `_orig_mod.`, `state_dict.`), '' when none. */
  readonly prefix: string;
  /** Share of the checkpoint's model tensors (optimizer state and copies left out) that the tree explains, 0 to 1. */
  readonly explained: number;
  /** Path in the tree that the checkpoint starts at, when it holds only a part of the model; absent otherwise. */
  readonly subtree?: string;
  /** How many tensors a parameter of the source explains, how many lie under modules whose inside is unknown, and of how many. */
  readonly matched?: number;
  readonly absorbed?: number;
  readonly considered?: number;
  /**
   * Tensors outside the chosen prefix (optimizer state, a second state dict such as `ema`, other networks), grouped:
   * noted once per group, never as unexpected one by one.
   */
  readonly elsewhere?: readonly { readonly prefix: string; readonly tensors: number }[];
}
