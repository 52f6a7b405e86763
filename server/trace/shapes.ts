/** What every expression of forward was when the trace ran over it: shapes with their free dimensions, and types. */
import { spanOf, type Located } from '../python/syntax/ast';
import type { SourceSpan } from '../python/module-tree';
import { PyList, PyTuple, Tensor, type TracedValue, type Value } from '../python/values/values';
import { Symbolic, wholeText } from '../python/values/symbolic';
import { dtypeName } from './types';

/** An expression, a name that is assigned to, or a parameter. */
export interface ExpressionShape {
  readonly span: SourceSpan;
  /** What it was, most runs of the line together: `float32 [batch, 64]`, `batch`, `(float32 [batch, 4], int64 [batch])`. */
  readonly values: readonly { readonly text: string; readonly modules: readonly string[] }[];
  /** There were more values than are kept. */
  readonly more: boolean;
}

/** Values and modules kept for one expression. */
const MOST_VALUES = 6;
const MOST_MODULES = 32;
const MOST_ITEMS = 8;

export class ShapeLog {
  private readonly seen = new Map<Located, { readonly values: Map<string, Set<string>>; more: boolean }>();

  /** @param known what a tensor holds, as far as it is known without reading it */
  constructor(private readonly known: (tensor: Tensor) => Pick<TracedValue, 'type' | 'dims' | 'complex'> | undefined) {}

  /** @param module path of the module whose forward runs */
  record(node: Located, value: Value, module: string): void {
    const text = this.text(value);
    if (text === null) return;
    let entry = this.seen.get(node);
    if (!entry) this.seen.set(node, (entry = { values: new Map(), more: false }));
    const modules = entry.values.get(text);
    if (modules) { if (modules.size < MOST_MODULES) modules.add(module); }
    else if (entry.values.size < MOST_VALUES) entry.values.set(text, new Set([module]));
    else entry.more = true;
  }

  all(): ExpressionShape[] {
    return [...this.seen].map(([node, { values, more }]) => ({ span: spanOf(node), values: [...values].map(([text, modules]) => ({ text, modules: [...modules] })), more }));
  }

  private text(value: Value): string | null {
    if (value instanceof Tensor) {
      const traced = this.known(value);
      return traced ? `${dtypeName(traced)} [${traced.dims.map(wholeText).join(', ')}]` : null;
    }
    if (value instanceof Symbolic) return value.key;
    if (!(value instanceof PyTuple || value instanceof PyList) || (value instanceof PyList && value.rest !== undefined)) return null;
    // A tuple of plain numbers says itself what it is.
    if (value.items.length > MOST_ITEMS || !value.items.some((item) => item instanceof Tensor || item instanceof Symbolic)) return null;
    const items = value.items.map((item) => (typeof item === 'number' ? String(item) : this.text(item)));
    return items.includes(null) ? null : `(${items.join(', ')})`;
  }
}
