/** Checking files: which ones hold a model, what their findings are, and which a comment silences. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { isPublished } from '../analysis/families';
import type { ModelAnalysis } from '../analysis/model-analysis';
import { isOnnx } from '../analysis/onnx-file';
import type { AnalysisService } from '../analysis/service';
import { messageOf, UserError } from '../analysis/user-error';
import type { SourceSpan } from '../python/module-tree';
import { ruleCodes, ruleOf, suppressions } from '../rules/registry';
import type { Finding } from '../rules/rule';
import { unknownCodeMessage, type Suppressions } from '../rules/suppressions';
import type { VerbContext } from './context';
import { readData, readSamples } from './data-flags';
import { addProjectOf } from './project';
import { analyseOptions, readTarget, type Target } from './target';

/** A finding that has a place: findings about a checkpoint as a whole sit on the root class. */
export type CheckedFinding = Omit<Finding, 'span'> & { readonly span: SourceSpan; readonly suppressed: boolean };

export interface CheckedModel {
  readonly analysis: ModelAnalysis;
  readonly findings: readonly CheckedFinding[];
}

const SKIPPED = new Set(['node_modules', '__pycache__', 'venv', 'env', 'site-packages', 'build', 'dist']);
const MAX_FILES = 5000;
/** Samples that activations are looked at on when none is named. */
const DEFAULT_SAMPLES = 64;
const MAX_SOURCE_BYTES = 4 * 2 ** 20;

/** Python files below a folder that mention torch, in name order; hidden folders and environments are passed over. */
async function sourcesBelow(folder: string, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  const pending = [folder];
  let seen = 0;
  while (pending.length > 0 && seen < MAX_FILES) {
    signal.throwIfAborted();
    const current = pending.pop()!;
    const entries = await readdir(current, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? 1 : -1))) {
      const full = path.join(current, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !SKIPPED.has(entry.name)) pending.push(full);
      } else if (entry.isFile() && /\.pyi?$/.test(entry.name)) {
        seen += 1;
        if ((await stat(full)).size <= MAX_SOURCE_BYTES && /\bnn\b|torch/.test(await readFile(full, 'utf8'))) found.push(full);
      }
    }
  }
  return found.sort();
}

/** PATHs as models to check. `listed` ones were named by the user; others were found in a folder and may hold no model. */
export async function targetsOf(paths: readonly string[], signal: AbortSignal): Promise<{ target: Target; listed: boolean }[]> {
  const targets: { target: Target; listed: boolean }[] = [];
  const seen = new Set<string>();
  const add = (target: Target, listed: boolean): void => {
    const key = `${target.file}\0${target.root ?? target.entry?.model.class ?? ''}`;
    if (!seen.has(key)) targets.push({ target, listed });
    seen.add(key);
  };
  for (const text of paths) {
    const facts = await stat(path.resolve(text)).catch(() => null);
    if (facts?.isDirectory()) addProjectOf(path.join(path.resolve(text), 'model.py'));
    if (facts?.isDirectory() && await isPublished(path.resolve(text))) add({ file: path.resolve(text) }, true);
    if (facts?.isDirectory()) for (const file of await sourcesBelow(path.resolve(text), signal)) add({ file }, false);
    else add(await readTarget(text), true);
  }
  return targets;
}

export async function checkTarget(service: AnalysisService, target: Target, listed: boolean, context: VerbContext): Promise<CheckedModel | null> {
  let analysis = await service.analyse(target.file, analyseOptions(target, context)).catch((error: unknown) => {
    if (listed || context.signal.aborted || !(error instanceof UserError)) throw error;
    context.note(`${target.file}: ${messageOf(error)}`);
    return null;
  });
  if (!analysis) return null;
  if (!analysis.root) {
    if (listed) context.note(`${target.file}: no module class that could be the model`);
    return null;
  }
  // A checkpoint given for a whole folder belongs to the files that it fits.
  const { link } = analysis;
  if (!listed && context.args.has('checkpoint') && analysis.checkpoint && (link?.matched ?? 0) + (link?.absorbed ?? 0) === 0) return null;
  if (!context.args.has('no-measure')) analysis = await service.measure(analysis, undefined, context);
  if (context.args.has('activations')) {
    const samples = readSamples(context.args) ?? DEFAULT_SAMPLES;
    const source = analysis;
    const activations = await service.running.activations(source, { data: readData(source, context.args), samples }, context).catch((error: unknown) => {
      // Of what a folder holds, not every model has data, nor can every one be run.
      if (listed || context.signal.aborted || !(error instanceof UserError)) throw error;
      context.note(`${target.file}: activations were not looked at: ${messageOf(error)}`);
      return null;
    });
    analysis = { ...source, activations };
  }
  // Where the model is a graph already, there is nothing to follow.
  if (!analysis.graph) analysis = { ...analysis, traced: await service.trace(analysis) };
  for (const note of analysis.notes ?? []) context.note(note);
  if (analysis.measurements.state === 'failed') throw new UserError(`${target.file}: cannot measure: ${analysis.measurements.message}. Use --no-measure to check code and header only`);
  return { analysis, findings: await placed(analysis, service.findings(analysis)) };
}

/** Gives every finding a place, marks those that a comment silences, and adds what is wrong with the comments. */
async function placed(analysis: ModelAnalysis, findings: readonly Finding[]): Promise<CheckedFinding[]> {
  const comments = new Map<string, Suppressions>();
  const commentsOf = async (file: string): Promise<Suppressions> => {
    const known = comments.get(file);
    if (known) return known;
    // An ONNX model has no comments, and may be gigabytes.
    const made = suppressions(isOnnx(file) ? '' : await readFile(file, 'utf8').catch(() => ''));
    comments.set(file, made);
    return made;
  };
  const rootSpan: SourceSpan = analysis.root?.span ?? { file: analysis.source, startLine: 0, startColumn: 0, endLine: 0, endColumn: 1 };
  const checked: CheckedFinding[] = [];
  for (const finding of findings) {
    // A class's span is its whole body; a finding about the checkpoint points at its first line.
    const span = finding.span ?? { ...rootSpan, endLine: rootSpan.startLine, endColumn: Math.max(rootSpan.startColumn + 1, rootSpan.endLine === rootSpan.startLine ? rootSpan.endColumn : 0) };
    const own = await commentsOf(span.file);
    checked.push({ ...finding, span, suppressed: own.isSuppressed(finding.code, span.startLine, span.endLine) });
  }
  const severity = ruleOf('BL502')?.defaultSeverity ?? 'hint';
  await commentsOf(analysis.source);
  if (severity !== 'off') {
    for (const [file, { unknown }] of comments) {
      for (const { line, start, end, code } of unknown) {
        checked.push({
          code: 'BL502', severity, message: unknownCodeMessage(code, ruleCodes), evidence: 'the comment', suppressed: false,
          span: { file, startLine: line, startColumn: start, endLine: line, endColumn: end },
        });
      }
    }
  }
  return checked;
}
