/**
 * One Python file: its text, its tree-sitter tree kept up to date by edits, and its top-level statements as chunks.
 * A chunk whose text did not change keeps its syntax across edits, so a keystroke costs one chunk.
 */
import { Edit, type Node, type Tree } from 'web-tree-sitter';
import type { Anchor, Body, Stmt } from './ast';
import { parts, type Lowering } from './lower-expressions';
import { lowerBlock, lowerStatement } from './lower-statements';
import { parse } from './parser';
import { MISSING, applyRepairs, findRepairs } from './repair';

export interface Position { readonly line: number; readonly character: number }
/** An incremental change as the Language Server Protocol sends it; without a range the text is the whole document. */
export interface TextChange { readonly range?: { readonly start: Position; readonly end: Position }; readonly text: string }

/** A top-level statement. */
export interface Chunk extends Anchor {
  readonly type: string;
  readonly text: string;
  /** Names that executing it may bind or change, from a shallow look; '*' for `from x import *`. */
  readonly names: ReadonlySet<string>;
  /** Executing it may register something somewhere: a decorated definition or a bare call. */
  readonly hasEffect: boolean;
  /** Names that something in it, in functions too, stores items under. */
  readonly fills: ReadonlySet<string>;
  /** Whether its text has these letters, great or small. */
  mentions(lowercase: string): boolean;
  statements(): readonly Stmt[];
}

/** Which syntax an evaluation has looked at: it does not depend on the rest. */
export class Reading {
  readonly chunks = new Set<FileChunk>();
  readonly bodies = new Set<FunctionBody>();
  /** Statements whose text was searched. */
  readonly searched = new Set<FileChunk>();
  /** What this and another have looked at, as a reading of its own. */
  and(other: Reading): Reading {
    const both = new Reading();
    for (const from of [this, other]) {
      for (const chunk of from.chunks) both.chunks.add(chunk);
      for (const body of from.bodies) both.bodies.add(body);
      for (const chunk of from.searched) both.searched.add(chunk);
    }
    return both;
  }
}
let reading: Reading | null = null;
/** Runs `work` and notes in `into` what it reads. */
export function recordReading<T>(into: Reading, work: () => T): T {
  const outer = reading;
  reading = into;
  try { return work(); } finally { reading = outer; }
}

/** The top-level statements of a file at one moment, and the line that each started on then. */
export interface Layout { readonly chunks: readonly FileChunk[]; readonly lines: readonly number[] }

/** More broken lines than anybody has half typed: the text is something else than Python. */
const MAX_REPAIRS = 40;

/** A carriage return alone ends a line for Python and for editors, but not for the parser. Offsets stay as they are. */
const withLineEnds = (text: string): string => text.replace(/\r(?!\n)/g, '\n');

export class SourceFile {
  private tree: Tree;
  /** What is read: the tree and text as they are, or with half-typed lines completed. */
  private read: { tree: Tree; text: string } | null = null;
  private lineStarts: number[] | null = null;
  private cached: readonly FileChunk[] | null = null;
  private cachedLayout: Layout | null = null;
  private previous = new Map<string, FileChunk[]>();
  /** Counts changes: a result made at one revision is stale at the next. */
  revision = 0;

  private source: string;

  constructor(readonly path: string, text: string) {
    this.source = withLineEnds(text);
    this.tree = parse(this.source);
  }

  get text(): string { return this.source; }
  get hasError(): boolean { return this.tree.rootNode.hasError; }

  /** Applies edits in order, each against the text that the one before left. */
  change(changes: readonly TextChange[]): void {
    if (this.read && this.read.tree !== this.tree) this.read.tree.delete();
    this.read = null;
    for (const { range, text } of changes) {
      const before = this.tree;
      if (!range) {
        this.source = withLineEnds(text);
        this.tree = parse(this.source);
      } else {
        const start = this.offsetAt(range.start);
        const end = Math.max(start, this.offsetAt(range.end));
        const startPosition = this.pointAt(start);
        const oldEndPosition = this.pointAt(end);
        const edited = this.source.slice(0, start) + text + this.source.slice(end);
        this.source = withLineEnds(edited);
        this.lineStarts = null;
        const newEndIndex = start + text.length;
        before.edit(new Edit({ startIndex: start, oldEndIndex: end, newEndIndex, startPosition, oldEndPosition, newEndPosition: this.pointAt(newEndIndex) }));
        // A line end that an edit split in two lies outside the edit.
        this.tree = parse(this.source, this.source === edited ? before : undefined);
      }
      before.delete();
      this.lineStarts = null;
    }
    this.revision += 1;
    this.retire();
  }

  /** Top-level statements in order, with positions as they are now. */
  chunks(): readonly FileChunk[] {
    if (this.cached) return this.cached;
    const chunks: FileChunk[] = [];
    let index = 0;
    const { tree, text: whole } = this.readable();
    for (const node of tree.rootNode.namedChildren) {
      if (node.type !== 'comment') {
        const text = whole.slice(node.startIndex, node.endIndex);
        const kept = node.hasError ? undefined : this.previous.get(text)?.find((chunk) => chunk.type === node.type && chunk.column === node.startPosition.column);
        if (kept) { this.previous.get(text)!.splice(this.previous.get(text)!.indexOf(kept), 1); kept.line = node.startPosition.row; kept.index = index; }
        chunks.push(kept ?? new FileChunk(this, node, whole, text, index));
      }
      index += 1;
    }
    this.previous.clear();
    this.cached = chunks;
    return chunks;
  }

  layout(): Layout {
    const chunks = this.chunks();
    return (this.cachedLayout ??= { chunks, lines: chunks.map((chunk) => chunk.line) });
  }

  /** The node of a top-level statement in the tree as it is now. */
  nodeAt(index: number): Node | null { return this.readable().tree.rootNode.namedChild(index); }
  nodeFrom(line: number, column: number): Node | null { return this.readable().tree.rootNode.descendantForPosition({ row: line, column }); }
  /** The text that nodes index into. */
  get readText(): string { return this.readable().text; }

  dispose(): void {
    if (this.read && this.read.tree !== this.tree) this.read.tree.delete();
    this.tree.delete();
  }

  /** The tree to read: as parsed, or of the text with half-typed lines completed where that removes errors. */
  private readable(): { tree: Tree; text: string } {
    if (this.read) return this.read;
    this.read = { tree: this.tree, text: this.source };
    const broken = this.tree.rootNode.hasError;
    // `self.` at the end of a line joins the next line without an error, which Python would not do.
    if (!broken && !/[\w\])]\.[ \t\r]*$/m.test(this.source)) return this.read;
    const insertions = findRepairs(this.source).filter(({ text }) => broken || text.startsWith(MISSING));
    if (insertions.length === 0 || insertions.length > MAX_REPAIRS) return this.read;
    // The repaired text differs in a few places: the parser reuses the rest of the tree. Edits go in from the last one.
    const base = this.tree.copy();
    for (const { offset, text } of insertions.toReversed()) {
      const at = this.pointAt(offset);
      base.edit(new Edit({ startIndex: offset, oldEndIndex: offset, newEndIndex: offset + text.length, startPosition: at, oldEndPosition: at,
        newEndPosition: { row: at.row, column: at.column + text.length } }));
    }
    const text = applyRepairs(this.source, insertions);
    const tree = parse(text, base);
    base.delete();
    if (!broken && tree.rootNode.hasError) tree.delete();
    else this.read = { tree, text };
    return this.read;
  }

  private retire(): void {
    for (const chunk of this.cached ?? []) {
      if (chunk.hasError) continue;
      const same = this.previous.get(chunk.text);
      if (same) same.push(chunk); else this.previous.set(chunk.text, [chunk]);
    }
    this.cached = null;
    this.cachedLayout = null;
  }

  private starts(): number[] {
    if (this.lineStarts) return this.lineStarts;
    const starts = [0];
    // The Language Server Protocol ends lines at \n, \r\n and \r.
    for (const match of this.source.matchAll(/\r\n|\r|\n/g)) starts.push(match.index + match[0].length);
    return (this.lineStarts = starts);
  }
  private offsetAt({ line, character }: Position): number {
    const starts = this.starts();
    if (line < 0) return 0;
    if (line >= starts.length) return this.source.length;
    const next = starts[line + 1] ?? this.source.length;
    return Math.min(starts[line]! + Math.max(0, character), next);
  }
  /** tree-sitter's point: rows end at \n only. */
  private pointAt(offset: number): { row: number; column: number } {
    let row = 0;
    let start = 0;
    for (let at = this.source.indexOf('\n'); at >= 0 && at < offset; at = this.source.indexOf('\n', at + 1)) { row += 1; start = at + 1; }
    return { row, column: offset - start };
  }
}

export class FileChunk implements Chunk {
  readonly file: string;
  readonly type: string;
  readonly column: number;
  readonly hasError: boolean;
  readonly names: ReadonlySet<string>;
  readonly hasEffect: boolean;
  line: number;
  private lowercase: string | null = null;
  private filled: ReadonlySet<string> | null = null;
  private lowered: { readonly statements: readonly Stmt[]; readonly bodies: readonly FunctionBody[]; readonly brokenOutside: boolean } | null = null;

  constructor(private readonly source: SourceFile, node: Node, whole: string, readonly text: string, public index: number) {
    this.file = source.path;
    this.type = node.type;
    this.line = node.startPosition.row;
    this.column = node.startPosition.column;
    this.hasError = node.hasError;
    const names = new Set<string>();
    this.hasEffect = collectNames(node, whole, names);
    this.names = names;
  }

  statements(): readonly Stmt[] {
    reading?.chunks.add(this);
    return this.lower().statements;
  }

  mentions(lowercase: string): boolean {
    reading?.searched.add(this);
    return (this.lowercase ??= this.text.toLowerCase()).includes(lowercase);
  }
  get fills(): ReadonlySet<string> { return (this.filled ??= new Set([...this.text.matchAll(FILLS)].map(([, name]) => name!))); }

  /** Bodies of the functions that are in no other function, in order. */
  get bodies(): readonly FunctionBody[] { return this.lower().bodies; }
  /** Whether something outside these bodies could not be parsed. */
  get brokenOutside(): boolean { return this.lower().brokenOutside; }

  private lower(): NonNullable<FileChunk['lowered']> {
    if (this.lowered) return this.lowered;
    const node = this.source.nodeAt(this.index);
    if (!node) return (this.lowered = { statements: [], bodies: [], brokenOutside: true });
    const bodies: FunctionBody[] = [];
    const statements = lowerStatement(node, this.lowering((body) => bodies.push(body), node.startIndex));
    bodies.sort((a, b) => a.start - b.start);
    return (this.lowered = { statements, bodies, brokenOutside: this.hasError && brokenOutside(node, node.startIndex, bodies) });
  }

  private lowering(made?: (body: FunctionBody) => void, offset = 0): Lowering {
    const baseLine = this.line;
    const text = this.source.readText;
    return { anchor: this, baseLine, text, body: (node) => {
      const at = node.startPosition;
      const make = () => this.bodyAt(at.row - baseLine, at.column);
      const block = made ? node.childForFieldName('body') : null;
      const to = block?.endPosition ?? at;
      const body = new FunctionBody(make, (block?.startIndex ?? node.startIndex) - offset, (block?.endIndex ?? node.startIndex) - offset,
        { row: to.row - baseLine, column: to.column }, this.text);
      made?.(body);
      return body;
    } };
  }

  private bodyAt(row: number, column: number): { statements: readonly Stmt[]; isGenerator: boolean } {
    let node = this.source.nodeFrom(this.line + row, column);
    while (node && node.type !== 'function_definition') node = node.parent;
    const body = node?.childForFieldName('body') ?? null;
    return { statements: lowerBlock(body, this.lowering()), isGenerator: body !== null && hasYield(body) };
  }
}

/** `name[…] =`, `name.update(…)`, `name.setdefault(…)`. */
const FILLS = /\b([A-Za-z_]\w*)(?:\[[^\]\n]*\]\s*=(?!=)|\.(?:update|setdefault|__setitem__)\()/g;

const GAP = /(?:\s|#[^\n]*)*/y;

interface Point { readonly row: number; readonly column: number }

/** The body of a function, made when somebody looks into it. Offsets, and rows of positions, are relative to its chunk. */
export class FunctionBody implements Body {
  private made: { statements: readonly Stmt[]; isGenerator: boolean } | null = null;
  private next: { readonly offset: number; readonly at: Point; readonly sameLine: boolean } | null = null;
  constructor(private readonly make: () => { statements: readonly Stmt[]; isGenerator: boolean },
    readonly start: number, readonly end: number, readonly to: Point, private readonly chunkText: string) {}
  /** Where the code goes on behind it, comments and empty lines left out. */
  get resume(): { readonly offset: number; readonly at: Point; readonly sameLine: boolean } {
    if (this.next) return this.next;
    GAP.lastIndex = this.end;
    const [gap] = GAP.exec(this.chunkText)!;
    const lineEnd = gap.lastIndexOf('\n');
    const at = lineEnd < 0 ? { row: this.to.row, column: this.to.column + gap.length } : { row: this.to.row + gap.split('\n').length - 1, column: gap.length - lineEnd - 1 };
    return (this.next = { offset: this.end + gap.length, at, sameLine: lineEnd < 0 });
  }
  statements(): readonly Stmt[] { return this.read().statements; }
  get isGenerator(): boolean { return this.read().isGenerator; }
  private read(): { statements: readonly Stmt[]; isGenerator: boolean } {
    reading?.bodies.add(this);
    return (this.made ??= this.make());
  }
}

/** Whether a node that could not be parsed lies outside the bodies. */
function brokenOutside(node: Node, offset: number, bodies: readonly FunctionBody[]): boolean {
  if (!node.hasError) return false;
  if (bodies.some(({ start, end }) => node.startIndex >= offset + start && node.endIndex <= offset + end)) return false;
  if (node.type === 'ERROR' || node.isMissing) return true;
  return node.children.some((child) => brokenOutside(child, offset, bodies));
}

function hasYield(node: Node): boolean {
  if (node.type === 'yield') return true;
  if (node.type === 'function_definition' || node.type === 'class_definition' || node.type === 'lambda') return false;
  return node.namedChildren.some(hasYield);
}

/** Adds the names a statement may bind or change; true when it may also have effects elsewhere. */
function collectNames(node: Node, text: string, names: Set<string>): boolean {
  const add = (target: Node | null): void => {
    if (!target) return;
    if (target.type === 'identifier') names.add(text.slice(target.startIndex, target.endIndex));
    else if (target.type === 'attribute') add(target.childForFieldName('object'));
    else if (target.type === 'subscript') add(target.childForFieldName('value'));
    else if (target.type === 'call') { const callee = target.childForFieldName('function'); if (callee?.type === 'attribute') add(callee); }
    else for (const child of target.namedChildren) if (/pattern|tuple|list|identifier|attribute|subscript|expression/.test(child.type)) add(child);
  };
  switch (node.type) {
    case 'function_definition': case 'class_definition': add(node.childForFieldName('name')); return false;
    case 'decorated_definition': add(node.childForFieldName('definition')?.childForFieldName('name') ?? null); return true;
    case 'import_statement':
      for (const child of node.childrenForFieldName('name')) {
        if (!child) continue;
        const alias = child.childForFieldName('alias');
        if (alias) add(alias);
        else names.add(text.slice(child.startIndex, child.endIndex).split('.')[0]!.trim());
      }
      return true;
    case 'import_from_statement':
      if (node.namedChildren.some((child) => child.type === 'wildcard_import')) names.add('*');
      for (const child of node.childrenForFieldName('name')) {
        if (child) { const bound = child.childForFieldName('alias') ?? child; names.add(text.slice(bound.startIndex, bound.endIndex).trim()); }
      }
      return true;
    case 'expression_statement': {
      const inner = parts(node)[0];
      if (!inner) return false;
      if (inner.type === 'call') { add(inner); return true; }
      let target: Node | null = inner;
      while (target && (target.type === 'assignment' || target.type === 'augmented_assignment')) {
        add(target.childForFieldName('left'));
        target = target.childForFieldName('right');
      }
      return false;
    }
    case 'delete_statement': for (const child of node.namedChildren) add(child); return false;
    case 'if_statement': case 'for_statement': case 'while_statement': case 'try_statement': case 'with_statement': case 'block': case 'else_clause':
    case 'elif_clause': case 'except_clause': case 'finally_clause': case 'match_statement': case 'case_clause': case 'ERROR': {
      let effect = false;
      if (node.type === 'for_statement') add(node.childForFieldName('left'));
      for (const child of node.namedChildren) effect = collectNames(child, text, names) || effect;
      return effect;
    }
    default: return false;
  }
}
