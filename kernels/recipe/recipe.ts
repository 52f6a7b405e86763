/** Recipe: Layer -> Scheme for a whole model. A JSON file people keep in git; its schema is recipe.schema.json. */

/** What one layer gets. */
export interface Scheme {
  /** Weight format id, or `keep` for the stored precision. */
  readonly weights: string;
  /** Activation format id; absent means activations stay in floating point. */
  readonly activations?: string;
  /** PTQ method id; `rtn` when absent. */
  readonly method?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface Recipe {
  readonly version: 1;
  readonly model: { readonly source: string; readonly class: string; readonly checkpoint: string };
  /** Layers not named in `layers`. */
  readonly default: Scheme;
  /** Layer path -> scheme. */
  readonly layers: Readonly<Record<string, Scheme>>;
  /** Layers that must share one format. */
  readonly groups?: readonly (readonly string[])[];
  /** Where the numbers come from; written by the allocator, for people to read. */
  readonly provenance?: {
    readonly metric: string;
    readonly evidence: string;
    readonly budget: string;
    readonly averageBits: number;
    readonly bytes: number;
    readonly objective: number;
    readonly uniform?: { readonly format: string; readonly objective: number; readonly bytes: number };
  };
}

/** The scheme of a layer: its own, else the default. */
export function schemeOf(recipe: Recipe, path: string): Scheme {
  return Object.hasOwn(recipe.layers, path) ? recipe.layers[path]! : recipe.default;
}
