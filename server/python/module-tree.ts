/** The nn.Module tree of a class, read from source without running it. */

/** Zero-based lines and UTF-16 columns, end exclusive: the same as LSP positions. */
export interface SourceSpan {
  /** Absolute path of the file. */
  readonly file: string;
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** Why something is not known. Shown to the user; never replaced by a guess. */
export interface Unknown {
  readonly reason: string;
  readonly span?: SourceSpan;
}

/** A dimension that source alone does not determine is null. */
export type Dimension = number | null;

export interface ParameterNode {
  /** Own name, without the module's path: `weight`, `running_mean`, `pos_embed`. */
  readonly name: string;
  readonly kind: 'parameter' | 'buffer';
  /** Null when not even the number of dimensions is known. */
  readonly shape: readonly Dimension[] | null;
  /** False for buffers registered with persistent=False: they are not in state_dict. */
  readonly persistent: boolean;
  readonly span: SourceSpan;
  /** Full name of the parameter this one is the same object as (weight tying), when it is. */
  readonly tiedTo?: string;
  /** True when the source cannot say whether it exists (e.g. `bias=` unknown). */
  readonly optional?: boolean;
}

export interface ModuleNode {
  /**
   * Dotted path as in state_dict, '' for the root. A segment `*` stands for an index or name that the source does not
   * determine (a loop over an unknown count): linking expands it by what the checkpoint holds.
   */
  readonly path: string;
  readonly className: string;
  /** `torch.nn.Conv2d`, or the dotted module and class of the workspace. */
  readonly qualifiedName: string;
  readonly kind: 'torch' | 'user' | 'unknown';
  /** Constructor arguments that are known, by parameter name, as plain JSON values. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Where the module is constructed: the call expression that findings sit on. */
  readonly span: SourceSpan;
  /** Where its class is defined, for user classes. */
  readonly classSpan?: SourceSpan;
  readonly parameters: readonly ParameterNode[];
  readonly children: readonly ModuleNode[];
  /**
   * Pairs of names (or patterns of names) below this module that its class declares to be one tensor when the configuration
   * ties embeddings: the tied one, and the one that is stored.
   */
  readonly ties?: readonly (readonly [string, string])[];
  /** Set when what is inside is not (fully) known. */
  readonly unknown?: Unknown;
  /** Set when the source cannot say whether the module exists at all (e.g. under `if config.flag:` with an unknown flag). */
  readonly optional?: boolean;
  /** The modules this one stands for, when the source does not say which of several is constructed here. */
  readonly alternatives?: readonly ModuleNode[];
}

export interface ModuleTree {
  readonly root: ModuleNode;
  /** Everything that could not be evaluated, with the place. */
  readonly unknowns: readonly Unknown[];
  /** Values assumed from the source (defaults, a dataclass built without arguments), to be shown. */
  readonly assumptions: readonly { readonly text: string; readonly span?: SourceSpan }[];
  /** Files the tree depends on: it is stale when one of them changes. */
  readonly files: readonly string[];
}

/** Something in a file that can be the root of a tree: a module class, or a function that returns one. */
export interface RootCandidate {
  /** `ResNet`, or `resnet18` for a factory function. */
  readonly name: string;
  readonly kind: 'class' | 'function' | 'instance';
  readonly span: SourceSpan;
  /** Required constructor parameters without a known value; empty when it can be built as it stands. */
  readonly missingArguments: readonly string[];
  /** Names of all constructor parameters that can be given by keyword, so that values found elsewhere can fill them. */
  readonly parameters?: readonly string[];
  /**
   * Those of them whose default is a plain value (a size, a flag, None) or a configuration object: what a published
   * checkpoint may have been built with otherwise.
   */
  readonly adjustable?: readonly AdjustableParameter[];
}

export interface AdjustableParameter {
  readonly name: string;
  readonly kind: 'size' | 'option';
  /** The default, as plain JSON; absent for a configuration object. */
  readonly value?: unknown;
  /** What the source compares a text option with: the other values that it knows. */
  readonly choices?: readonly string[];
}

/** Given as an argument: its value is not known, and the default does not count. */
export const UNKNOWN_ARGUMENT: Readonly<Record<string, unknown>> = Object.freeze({ '$unknown': true });
export const isUnknownArgument = (value: unknown): boolean => typeof value === 'object' && value !== null && (value as Record<string, unknown>)['$unknown'] === true;
