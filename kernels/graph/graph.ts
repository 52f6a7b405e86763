/**
 * Graph: a model as ONNX operators, before weights are looked up. Plain data: it crosses process borders. Checkpoint tensors
 * are named, not copied; dimensions that stay free are texts (`batch`, `batch*sequence`).
 */
import type { OnnxType } from './onnx-types';

/** Size of a dimension: a number, or the text of an expression over the free dimensions. */
export type GraphDim = number | string;

/** An attribute of an operator. ONNX tells whole from real numbers, so that the kind is named. */
export type Attribute =
  | { readonly int: number } | { readonly float: number } | { readonly text: string }
  | { readonly ints: readonly number[] } | { readonly floats: readonly number[] } | { readonly texts: readonly string[] }
  | { readonly tensor: SmallTensor }
  /** The AttributeProto as it was read, in base64: graphs of branches and loops, texts that are not UTF-8, types. `untyped` holds no values of a tensor's type. */
  | { readonly encoded: string; readonly untyped?: true };

/** Values written out in the graph. Whole numbers beyond 2^53 and not-a-number do not occur; infinities do, as text. */
export interface SmallTensor {
  readonly type: OnnxType;
  readonly shape: readonly number[];
  readonly values: readonly (number | 'Infinity' | '-Infinity')[];
}

/** Where a node comes from in source. Zero-based lines and UTF-16 columns, end exclusive. */
export interface GraphSpan {
  readonly file: string;
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export interface GraphNode {
  /** Operator of the default domain, or of `domain`. */
  readonly op: string;
  readonly domain?: string;
  /** Names of values; '' for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Values of this graph that graphs within its attributes read, beside its inputs. */
  readonly captures?: readonly string[];
  /** Path of the module whose forward made it; '' for the root. */
  readonly module: string;
  readonly span?: GraphSpan;
}

export interface GraphValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly GraphDim[];
  /** False where not even the number of dimensions is known; `shape` is then empty. */
  readonly ranked?: false;
}

/** A tensor that is there before the model runs. */
export interface GraphInitializer {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  /** A tensor of the checkpoint, by its name in {@link Checkpoint.tensors} (or derived), or values written out. */
  readonly data: { readonly checkpoint: string } | { readonly values: SmallTensor['values'] };
}

export interface Graph {
  readonly name: string;
  /** Version of the default operator set: 17 to 21 of what was traced, any of what was read. */
  readonly opset: number;
  /** Versions of other operator sets that nodes are of. */
  readonly domains?: Readonly<Record<string, number>>;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /** In an order in which they can run. */
  readonly nodes: readonly GraphNode[];
  readonly initializers: readonly GraphInitializer[];
  /** Type and shape of what nodes give, as far as known. */
  readonly values?: readonly GraphValue[];
  /** The ONNX file that holds exactly this model, weights and all. */
  readonly file?: string;
  /** Operators that the model defines itself (FunctionProto), as they were read, in base64. */
  readonly functions?: readonly string[];
}
