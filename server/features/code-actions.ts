/** What can be done about a finding: change the recipe, try a format, silence it, read about it. */
import type { Range } from '../protocol';
import type { Finding } from '../rules/rule';
import { ruleOf } from '../rules/registry';
import { plain } from '../rules/text';
import { rangeOfFinding } from './diagnostics';
import type { DocumentView } from './document';
import { layersAt } from './layers-at';
import { changedRecipe, newRecipe, recipePathOf, wholeDocument, type LayerFormat, type TextEdit } from './recipe-edit';

/** Edits by file; `create` makes the file first. */
export interface FileEdit { readonly path: string; readonly create: boolean; readonly edits: readonly TextEdit[] }

export interface FindingAction {
  readonly title: string;
  readonly kind: 'quickfix' | 'refactor';
  /** Code and range of the finding it is about, to attach it to the client's diagnostic. */
  readonly finding?: { readonly code: string; readonly range: Range };
  readonly preferred?: boolean;
  readonly edit?: FileEdit;
  readonly command?: { readonly title: string; readonly command: string; readonly arguments: readonly unknown[] };
}

export interface ActionContext {
  /** Text of the model's recipe as it stands in the editor or on disk; null when there is none. */
  readonly recipeText: string | null;
  readonly canCreateFiles: boolean;
}

const overlaps = (a: Range, b: Range): boolean => a.start.line <= b.end.line && b.start.line <= a.end.line;

/** Actions for the findings on the lines of a range, and "Quantize Layer" for the layer at its start. */
export function codeActions(view: DocumentView, range: Range, context: ActionContext): FindingAction[] {
  const actions: FindingAction[] = [];
  const told = new Set<string>();
  for (const finding of view.findings) {
    const place = rangeOfFinding(finding, view);
    if (!overlaps(place, range)) continue;
    const about = { code: finding.code, range: place };
    actions.push(...recipeActions(view, finding, context).map((action) => ({ ...action, finding: about })));
    const key = `${finding.code}:${place.start.line}`;
    if (told.has(key)) continue;
    told.add(key);
    actions.push(...suppressActions(view, finding, place).map((action) => ({ ...action, finding: about })));
    actions.push(...aboutRule(finding).map((action) => ({ ...action, finding: about })));
  }
  return [...actions, ...quantizeAction(view, range)];
}

function recipeActions(view: DocumentView, finding: Finding, context: ActionContext): FindingAction[] {
  const { analysis } = view;
  const wanted = finding.suggestion?.layers ?? [];
  if (!analysis?.link || !analysis.root || analysis.checkpointPath === null || wanted.length === 0) return [];
  // Tied partners are one tensor: giving one of them another format would only be the next finding.
  const formats = new Map(wanted.map(({ path, format }) => [path, format]));
  const partners = analysis.link.layers.flatMap((layer): LayerFormat[] => (layer.tiedTo !== null && formats.has(layer.tiedTo) && !formats.has(layer.path) ? [{ path: layer.path, format: formats.get(layer.tiedTo)! }] : []));
  const layers = [...wanted, ...partners];
  const distinct = [...new Set(wanted.map(({ format }) => format))];
  const what = wanted.length === 1 ? plain(wanted[0]!.path, 60) : `${wanted.length} layers`;
  const title = `Set ${what} to ${distinct.length === 1 ? distinct[0] : 'the suggested formats'} in the recipe`;
  const path = recipePathOf(analysis);
  if (context.recipeText === null) {
    if (!context.canCreateFiles) return [];
    const newText = newRecipe(analysis, layers);
    return [{ title, kind: 'quickfix', preferred: true, edit: { path, create: true, edits: [{ range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }, newText }] } }];
  }
  const after = changedRecipe(context.recipeText, layers);
  if (after === null || after === context.recipeText) return [];
  return [{ title, kind: 'quickfix', preferred: true, edit: { path, create: false, edits: [wholeDocument(after)] } }];
}

const IGNORE = /#[^#\n]*?\bbitlens:\s*ignore\[([^\]\n]*)\]/;

/** Adds a code to a suppression comment on a line, or adds the comment. Null where a comment cannot stand. */
export function suppressEdit(line: string, lineNumber: number, code: string): TextEdit | null {
  const text = line.replace(/\s+$/, '');
  const existing = IGNORE.exec(text);
  if (existing) {
    const inside = existing[1]!.trim();
    const at = existing.index + existing[0].length - 1;
    return { range: { start: { line: lineNumber, character: at }, end: { line: lineNumber, character: at } }, newText: inside === '' ? code : `, ${code}` };
  }
  // After a backslash the next line goes on; a comment there is a syntax error. Inside a string it is text.
  if (text.endsWith('\\') || (text.match(/"""|'''/g)?.length ?? 0) % 2 === 1) return null;
  return { range: { start: { line: lineNumber, character: text.length }, end: { line: lineNumber, character: line.length } }, newText: `  # bitlens: ignore[${code}]` };
}

/** The first line where a comment for the whole file may stand: after a shebang, an encoding line, and comments above the code. */
function fileCommentLine(lines: readonly string[]): number {
  let line = 0;
  while (line < Math.min(2, lines.length) && (/^#!/.test(lines[line]!) || /^#.*coding[:=]/.test(lines[line]!))) line++;
  return line;
}

function suppressActions(view: DocumentView, finding: Finding, place: Range): FindingAction[] {
  const { code } = finding;
  if (code === 'BL502') return [];
  const number = place.start.line;
  const actions: FindingAction[] = [];
  const own = suppressEdit(view.lines[number] ?? '', number, code);
  if (own) actions.push({ title: `Ignore ${code} on this line`, kind: 'quickfix', edit: { path: view.path, create: false, edits: [own] } });
  const top = fileCommentLine(view.lines);
  const start = { line: top, character: 0 };
  actions.push({ title: `Ignore ${code} in this file`, kind: 'quickfix', edit: { path: view.path, create: false, edits: [{ range: { start, end: start }, newText: `# bitlens: ignore-file[${code}]\n` }] } });
  return actions;
}

function aboutRule({ code }: Finding): FindingAction[] {
  const title = ruleOf(code)?.title ?? code;
  return [
    { title: `Set severity of ${code}…`, kind: 'quickfix', command: { title: 'Set severity', command: 'bitlens.setSeverity', arguments: [{ code }] } },
    { title: `Show documentation of ${code} (${title})`, kind: 'quickfix', command: { title: 'Show documentation', command: 'bitlens.openDocumentation', arguments: [{ code }] } },
  ];
}

function quantizeAction(view: DocumentView, range: Range): FindingAction[] {
  const { analysis } = view;
  const found = layersAt(analysis, view.path, view.lines, range.start)?.layers
    ?? analysis?.link?.layers.filter(({ span }) => span.file === view.path && span.startLine === range.start.line) ?? [];
  const layers = found.filter((layer) => layer.weight?.info);
  if (layers.length === 0 || !analysis?.root) return [];
  // Of many layers on the line, the one that a finding names as the worst is the one to try first.
  const named = view.findings.find((finding) => finding.layer !== undefined && layers.some(({ path }) => path === finding.layer));
  const path = named?.layer ?? layers[0]!.path;
  const format = named?.suggestion?.format;
  return [{
    title: `Quantize ${plain(path, 60)}…`, kind: 'refactor',
    command: { title: 'Quantize Layer', command: 'bitlens.quantizeLayer', arguments: [{ uri: view.uri, root: analysis.root.name, path, ...(format !== undefined && { format }) }] },
  }];
}
