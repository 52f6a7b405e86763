/** How many tokens a model knows: the rows of the tables that its input is looked up in. */
import type { Graph } from '../graph/graph';

/** Operators that pass token ids on as they are, in another shape or type. */
const PASSING = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Slice', 'Expand', 'Dropout', 'Split', 'Concat']);

/** Rows of the smallest table that the ids in `input` are looked up in; null when there is none. */
export function vocabularyOf(graph: Graph, input: string): number | null {
  const ids = new Set([input]);
  const weights = new Map(graph.initializers.map((each) => [each.name, each]));
  const rows: number[] = [];
  for (const { op, inputs, outputs, attributes } of graph.nodes) {
    if (PASSING.has(op) && ids.has(inputs[0]!)) for (const output of outputs) ids.add(output);
    if (op !== 'Gather' || !ids.has(inputs[1]!)) continue;
    const axis = attributes?.axis;
    const table = weights.get(inputs[0]!);
    const size = table?.shape[axis && 'int' in axis ? axis.int : 0];
    if (size !== undefined) rows.push(size);
  }
  return rows.length > 0 ? Math.min(...rows) : null;
}
