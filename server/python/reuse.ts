/**
 * When a result made from an older text is still right. An evaluation notes which syntax it looked at (`Reading`); an edit
 * elsewhere - in `forward`, which is never run, in a function nobody called, in a comment - leaves the result as it is, up to
 * the positions in it, which move. Most keys are such edits.
 */
import type { SourceSpan } from './module-tree';
import type { FileChunk, FunctionBody, Layout, Reading } from './syntax/source-file';

/** Where a position of the older text is now. */
type Move = (line: number, column: number) => readonly [number, number];
/** How positions of one file moved: `null` where none did. */
export type FileMove = Move | null;

interface MovedChunk { readonly from: number; readonly to: number; readonly column: number; readonly bodies: readonly (readonly [FunctionBody, FunctionBody])[] }

/**
 * Compares a file with what it was.
 *
 * @returns how positions moved, or `undefined` when something that was read is not the same.
 * `reading` is brought up to date on success only.
 */
export function compareLayouts(before: Layout, now: Layout, reading: Reading): { readonly move: FileMove } | undefined {
  if (before === now) return { move: null };
  if (before.chunks.length !== now.chunks.length) return undefined;
  const moved: MovedChunk[] = [];
  const replaced: (readonly [FileChunk, FileChunk])[] = [];
  let still = true;
  for (const [index, old] of before.chunks.entries()) {
    const chunk = now.chunks[index]!;
    const [from, to] = [before.lines[index]!, now.lines[index]!];
    if (from !== to) still = false;
    let bodies: MovedChunk['bodies'] = [];
    if (chunk !== old) {
      if (!sameOutside(old, chunk) || (reading.searched.has(old) && !reading.chunks.has(old))) return undefined;
      if (reading.chunks.has(old)) {
        if (!sameWhereRead(old, chunk, reading)) return undefined;
        bodies = old.bodies.map((body, at) => [body, chunk.bodies[at]!] as const).filter(([a, b]) => !samePlace(a, b));
        if (bodies.length > 0) still = false;
        replaced.push([old, chunk]);
      }
    }
    moved.push({ from, to, column: old.column, bodies });
  }
  for (const [old, chunk] of replaced) {
    reading.chunks.delete(old);
    reading.chunks.add(chunk);
    if (reading.searched.delete(old)) reading.searched.add(chunk);
    for (const [at, body] of old.bodies.entries()) if (reading.bodies.delete(body)) reading.bodies.add(chunk.bodies[at]!);
  }
  return { move: still ? null : (line, column) => movePoint(moved, line, column) };
}

/** What others see of a statement without reading it. */
function sameOutside(a: FileChunk, b: FileChunk): boolean {
  if (a.column !== b.column || a.hasEffect !== b.hasEffect) return false;
  return sameNames(a.names, b.names) && sameNames(a.fills, b.fills);
}

const sameNames = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => a.size === b.size && [...a].every((name) => b.has(name));

/** Whether two versions of a statement are the same but for bodies of functions that nobody looked into. */
function sameWhereRead(a: FileChunk, b: FileChunk, reading: Reading): boolean {
  if (a.type !== b.type || a.brokenOutside || b.brokenOutside || a.bodies.length !== b.bodies.length) return false;
  let [atA, atB] = [0, 0];
  for (const [index, old] of a.bodies.entries()) {
    const body = b.bodies[index]!;
    if (a.text.slice(atA, old.start) !== b.text.slice(atB, body.start)) return false;
    if (reading.bodies.has(old) && (a.hasError || b.hasError || a.text.slice(old.start, old.end) !== b.text.slice(body.start, body.end))) return false;
    const [nextA, nextB] = [old.resume, body.resume];
    // Behind a body on lines of its own the indentation counts, and nothing before it.
    if (nextA.sameLine !== nextB.sameLine || (!nextA.sameLine && nextA.at.column !== nextB.at.column)) return false;
    [atA, atB] = [nextA.offset, nextB.offset];
  }
  return a.text.slice(atA) === b.text.slice(atB);
}

const samePoint = (a: FunctionBody['to'], b: FunctionBody['to']): boolean => a.row === b.row && a.column === b.column;
const samePlace = (a: FunctionBody, b: FunctionBody): boolean => samePoint(a.to, b.to) && samePoint(a.resume.at, b.resume.at);

/** Positions of a result lie outside bodies that were not read, or at their ends. */
function movePoint(chunks: readonly MovedChunk[], line: number, column: number): readonly [number, number] {
  let [low, high] = [0, chunks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { from, column: start } = chunks[middle]!;
    if (from < line || (from === line && start <= column)) low = middle + 1;
    else high = middle;
  }
  const chunk = chunks[low - 1];
  if (!chunk) return [line, column];
  const row = line - chunk.from;
  for (const [old, now] of chunk.bodies.toReversed()) {
    for (const [before, after] of [[old.resume.at, now.resume.at], [old.to, now.to]] as const) {
      if (row < before.row || (row === before.row && column < before.column)) continue;
      return [chunk.to + after.row + row - before.row, row === before.row ? after.column + column - before.column : column];
    }
  }
  return [chunk.to + row, column];
}

/** A copy of a result with its spans moved; what did not move is shared, and a result in which nothing moved is the same object. */
export function moveSpans<T>(value: T, moves: ReadonlyMap<string, Move>): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | null = null;
    for (const [index, item] of value.entries()) {
      const made: unknown = moveSpans(item, moves);
      if (made !== item) (copy ??= [...value])[index] = made;
    }
    return (copy ?? value) as T;
  }
  if (isSpan(value)) return movedSpan(value, moves) as T;
  let copy: Record<string, unknown> | null = null;
  for (const [key, item] of Object.entries(value) as [string, unknown][]) {
    // Constructor arguments are the user's own values.
    if (key === 'args' || typeof item !== 'object' || item === null) continue;
    const made: unknown = moveSpans(item, moves);
    if (made !== item) (copy ??= { ...value } as Record<string, unknown>)[key] = made;
  }
  return (copy ?? value) as T;
}

const isSpan = (value: object): value is SourceSpan => 'startLine' in value && 'endColumn' in value && 'file' in value;

function movedSpan(span: SourceSpan, moves: ReadonlyMap<string, Move>): SourceSpan {
  const move = moves.get(span.file);
  // The empty span at the beginning stands for the file as a whole.
  if (!move || (span.endLine === 0 && span.endColumn === 0)) return span;
  const [startLine, startColumn] = move(span.startLine, span.startColumn);
  const [endLine, endColumn] = move(span.endLine, span.endColumn);
  const same = startLine === span.startLine && startColumn === span.startColumn && endLine === span.endLine && endColumn === span.endColumn;
  return same ? span : { file: span.file, startLine, startColumn, endLine, endColumn };
}
