/** What is asked of choices: costs of layers in formats, and one format for each layer within limits. */
import type { Graph } from '../graph/graph';
import type { LayerCost } from '../methods/method';

/** One layer's choices for an allocator. Coupled layers are merged into one choice by the caller's groups. */
export interface AllocationLayer {
  readonly key: string;
  readonly weights: number;
  /** Format id -> size in bits, error (same unit for all layers; lower is better), and further costs in the order of `limits`. */
  readonly choices: readonly AllocationChoice[];
}
export interface AllocationChoice {
  readonly format: string;
  readonly bits: number;
  readonly error: number;
  /** Whole numbers that add up over layers: bit operations, nanoseconds. */
  readonly costs?: readonly number[];
}
export interface AllocateParams {
  readonly layers: readonly AllocationLayer[];
  /** Keys that must get the same format. */
  readonly groups: readonly (readonly string[])[];
  readonly budgetBits: number;
  /** Limits of the further costs of each choice. */
  readonly limits?: readonly number[];
  /** Allocator id from the methods registry. */
  readonly allocator: string;
  readonly options?: Readonly<Record<string, unknown>>;
}
export interface AllocateResult {
  readonly choice: readonly (AllocationChoice & { readonly key: string })[];
  readonly objective: number;
  readonly bits: number;
  /** Totals of the further costs, in the order of `limits`. */
  readonly costs?: readonly number[];
  /** True when the optimum is proven; otherwise `lowerBound` says how far it can be. */
  readonly optimal: boolean;
  readonly lowerBound: number;
  /** The best uniform format that keeps every limit (one format for every layer); null when none does. */
  readonly uniform: { readonly format: string; readonly objective: number; readonly bits: number } | null;
  /** Set when the budget is trivial (everything fits in the best format). */
  readonly note?: string;
  /** Objective against size: the optimum for a sweep of budgets, for the report's curve. With further limits the solution's own point alone. */
  readonly frontier: readonly { readonly bits: number; readonly objective: number }[];
}

/** What layers take in formats: bit operations, latency. */
export interface CostsParams {
  /** With the sizes of one run: every dimension a number. */
  readonly graph: Graph;
  readonly weights: readonly { readonly key: string; readonly tensor: string; readonly view: { readonly rows: number; readonly cols: number } }[];
  readonly formats: readonly string[];
  /** Id of a cost model from the methods registry. */
  readonly model: string;
  readonly options?: Readonly<Record<string, unknown>>;
}
export interface CostsResult {
  readonly unit: string;
  readonly perUnit: number;
  /** Costs by format id; multiply-accumulate operations of one run. */
  readonly layers: readonly { readonly key: string; readonly macs: number; readonly formats: Readonly<Record<string, LayerCost>> }[];
  /** Layers that the graph does not apply in a way we know: they are in no cost. */
  readonly uncounted: readonly string[];
  readonly seconds: number;
}
