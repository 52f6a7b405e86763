/** The model's layers as a tree by their dotted paths, with sums for each branch. Knows nothing of VS Code. */
import type { FindingRow, LayerRow, ModelSummary } from '../../server/protocol';

/** Also what the item's commands are called with: see ui/arguments.ts. */
export interface LayerNode {
  readonly uri: string;
  readonly root?: string;
  readonly path: string;
  readonly label: string;
  readonly depth: number;
  /** Null for a module that is only part of other paths. */
  readonly row: LayerRow | null;
  readonly parent: LayerNode | undefined;
  readonly children: LayerNode[];
  readonly branch: Branch;
}

/** Sums over a node and everything below it. */
export interface Branch {
  /** Layers with weights. */
  layers: number;
  bytes: number;
  /** Null as soon as one layer's size after is not known. */
  bytesAfter: number | null;
  /** Findings of each severity. */
  readonly findings: Record<FindingRow['severity'], number>;
}

export const SEVERITY_ORDER = ['error', 'warning', 'information', 'hint'] as const;

export function layerTree(model: ModelSummary): LayerNode[] {
  const { uri, root } = model.target;
  const roots: LayerNode[] = [];
  const nodes = new Map<string, LayerNode>();
  const rows = new Map(model.layers.map((row) => [row.path, row]));
  const nodeOf = (path: string): LayerNode => {
    const known = nodes.get(path);
    if (known) return known;
    const cut = path.lastIndexOf('.');
    const parent = cut > 0 ? nodeOf(path.slice(0, cut)) : undefined;
    const node: LayerNode = {
      uri, ...(root !== undefined && { root }), path, label: path === '' ? (model.root ?? '(root)') : path.slice(cut + 1) || path,
      depth: parent ? parent.depth + 1 : 0, row: rows.get(path) ?? null, parent, children: [],
      branch: { layers: 0, bytes: 0, bytesAfter: 0, findings: { error: 0, warning: 0, information: 0, hint: 0 } },
    };
    nodes.set(path, node);
    (parent?.children ?? roots).push(node);
    return node;
  };
  for (const row of rows.values()) {
    for (let node: LayerNode | undefined = nodeOf(row.path); node; node = node.parent) add(node.branch, row);
  }
  return roots;
}

function add(branch: Branch, row: LayerRow): void {
  if (row.weight && row.linked) branch.layers++;
  branch.bytes += row.bytes;
  // What is not quantized keeps its size.
  const after = row.bytesAfter ?? (row.weight === null ? row.bytes : null);
  branch.bytesAfter = branch.bytesAfter === null || after === null ? null : branch.bytesAfter + after;
  for (const { severity } of row.findings) branch.findings[severity]++;
}

/** The worst severity in a branch; undefined when nothing was found. */
export function worstOf(branch: Branch): FindingRow['severity'] | undefined {
  return SEVERITY_ORDER.find((severity) => branch.findings[severity] > 0);
}

export function findingsIn(branch: Branch): number {
  return SEVERITY_ORDER.reduce((sum, severity) => sum + branch.findings[severity], 0);
}
