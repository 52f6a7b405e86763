/** Which layers a place in the source is about: the construction under the caret, or a use of `self.name`. */
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { Layer } from '../linking/layer';
import type { ModuleNode, SourceSpan } from '../python/module-tree';
import type { Range } from '../protocol';
import { spanContains } from './document';

export interface Position { readonly line: number; readonly character: number }

export interface LayersAt {
  readonly layers: readonly Layer[];
  readonly range: Range;
  /** Class of the modules, for the title. */
  readonly className: string;
}

function* nodesOf(node: ModuleNode): Generator<ModuleNode> {
  yield node;
  for (const child of node.children) yield* nodesOf(child);
}

const sameSpan = (a: SourceSpan, b: SourceSpan): boolean => a.file === b.file && a.startLine === b.startLine
  && a.startColumn === b.startColumn && a.endLine === b.endLine && a.endColumn === b.endColumn;
const isInside = (inner: SourceSpan, outer: SourceSpan): boolean => spanContains(outer, { line: inner.startLine, character: inner.startColumn })
  && spanContains(outer, { line: inner.endLine, character: inner.endColumn });
const toRange = (span: SourceSpan): Range => ({ start: { line: span.startLine, character: span.startColumn }, end: { line: span.endLine, character: span.endColumn } });

/** Layers of these modules and of everything inside them, in the order of the source. */
function layersBelow(analysis: ModelAnalysis, nodes: readonly ModuleNode[]): Layer[] {
  const inside = new Set<ModuleNode>();
  for (const node of nodes) for (const each of nodesOf(node)) inside.add(each);
  return analysis.link!.layers.filter(({ module }) => inside.has(module));
}

/** The innermost construction that the position lies in. */
function constructionAt(analysis: ModelAnalysis, path: string, position: Position): LayersAt | null {
  let best: SourceSpan | null = null;
  const consider = (span: SourceSpan): void => {
    if (span.file === path && spanContains(span, position) && (best === null || (isInside(span, best) && !sameSpan(span, best)))) best = span;
  };
  const nodes = [...nodesOf(analysis.tree!.root)].filter((node) => node.path !== '');
  for (const node of nodes) consider(node.span);
  for (const layer of analysis.link!.layers) if (layer.module.path !== '' || layer.span !== layer.module.span) consider(layer.span);
  if (best === null) return null;
  const span: SourceSpan = best;
  const made = nodes.filter((node) => sameSpan(node.span, span));
  const own = analysis.link!.layers.filter((layer) => sameSpan(layer.span, span));
  const layers = made.length > 0 ? layersBelow(analysis, made) : own;
  return layers.length === 0 ? null : { layers, range: toRange(span), className: made[0]?.className ?? own[0]!.className };
}

const CHAIN = /\bself((?:\s*\.\s*[A-Za-z_]\w*|\s*\[[^\][]*\])+)/g;

/** The chain `self.a.b[0]` that the position is in, cut after the name under the caret. Null elsewhere. */
export function selfChainAt(line: string, character: number): { readonly names: readonly string[]; readonly start: number; readonly end: number } | null {
  for (const match of line.matchAll(CHAIN)) {
    const names: string[] = [];
    const base = match.index + 4;
    for (const part of match[1]!.matchAll(/\.\s*([A-Za-z_]\w*)|\[\s*([^\][]*?)\s*\]/g)) {
      const end = base + part.index + part[0].length;
      const start = end - (part[1]?.length ?? part[0].length);
      if (character < start && names.length === 0) break;
      names.push(part[1] ?? (/^\d+$/.test(part[2]!) ? part[2]! : '*'));
      if (character <= end) return character >= start ? { names, start, end } : null;
    }
  }
  return null;
}

/** First line of the class that encloses a line, and the line after its last. */
function enclosingClass(lines: readonly string[], line: number): { readonly name: string; readonly first: number; readonly last: number } | null {
  let indent = (lines[line] ?? '').search(/\S/);
  for (let at = line; at >= 0; at--) {
    const text = lines[at]!;
    const own = text.search(/\S/);
    if (own < 0 || own >= indent) continue;
    const match = /^\s*class\s+([A-Za-z_]\w*)/.exec(text);
    if (match) {
      let last = at + 1;
      while (last < lines.length && (lines[last]!.trim() === '' || lines[last]!.search(/\S/) > own)) last++;
      return { name: match[1]!, first: at, last };
    }
    // Text within brackets or a comment may stand left of the block it belongs to: only statements end a block.
    if (/^\s*(?:def|async|if|for|while|with|try|else|elif|except|finally)\b/.test(text)) indent = own;
  }
  return null;
}

function children(nodes: readonly ModuleNode[], name: string): ModuleNode[] {
  return nodes.flatMap((node) => node.children.filter((child) => {
    const last = child.path.slice(child.path.lastIndexOf('.') + 1);
    return last === name || name === '*' || (last === '*' && /^\d+$/.test(name));
  }));
}

/** A use of `self.name` anywhere in a class whose instances are in the model. */
function useAt(analysis: ModelAnalysis, path: string, lines: readonly string[], position: Position): LayersAt | null {
  const chain = selfChainAt(lines[position.line] ?? '', position.character);
  const within = chain && enclosingClass(lines, position.line);
  if (!chain || !within) return null;
  const all = [...nodesOf(analysis.tree!.root)];
  const inClass = (span: SourceSpan): boolean => span.file === path && span.startLine >= within.first && span.startLine < within.last;
  // Instances of this class, and of classes derived from it: those that have a child constructed in this class's text.
  const owners = all.filter((node) => (node.className === within.name && node.classSpan?.file === path) || node.children.some((child) => inClass(child.span)) || node.parameters.some(({ span }) => inClass(span)));
  let nodes: ModuleNode[] = owners;
  for (const name of chain.names) nodes = children(nodes, name);
  const range = { start: { line: position.line, character: chain.start }, end: { line: position.line, character: chain.end } };
  if (nodes.length > 0) {
    const layers = layersBelow(analysis, nodes);
    return layers.length === 0 ? null : { layers, range, className: nodes[0]!.className };
  }
  // An own parameter: `self.pos_embed`.
  const parents = new Set(chain.names.slice(0, -1).reduce<ModuleNode[]>((found, name) => children(found, name), owners));
  const own = analysis.link!.layers.filter((layer) => parents.has(layer.module) && layer.tensors.some(({ parameter }) => parameter?.name === chain.names.at(-1)));
  return own.length === 0 ? null : { layers: own, range, className: 'Parameter' };
}

/** Layers at a position, or null when it is about none. */
export function layersAt(analysis: ModelAnalysis | null, path: string, lines: readonly string[], position: Position): LayersAt | null {
  if (!analysis?.link || !analysis.tree) return null;
  return constructionAt(analysis, path, position) ?? useAt(analysis, path, lines, position);
}
