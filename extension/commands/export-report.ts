/** Bitlens: Export Report… One self-contained HTML file (made by the server), or CSV or JSON of the same numbers. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { LayerDetail, ModelTarget, ReportData } from '../../server/protocol';
import type { Context } from '../context';
import { reportCsv } from '../../server/report-csv';
import { askWhereTo, folderOf, requireTrust, targetOf, textOf, type Arguments } from '../ui/arguments';
import { formatBytes } from '../ui/text';
import { offer } from './command';

type Kind = 'html' | 'csv' | 'json';
const KINDS: Readonly<Record<Kind, { title: string; detail: string; filter: Record<string, string[]> }>> = {
  html: { title: 'HTML', detail: 'One file that shows the whole report in any browser, without a network.', filter: { HTML: ['html'] } },
  csv: { title: 'CSV', detail: 'One row per layer: statistics, and error and size in every format.', filter: { CSV: ['csv'] } },
  json: { title: 'JSON', detail: 'Everything that the report shows, histograms and channel ranges included.', filter: { JSON: ['json'] } },
};

/** Arguments: `{uri, root?, kind?, out?}`; what is missing is asked for. Answers with the path written. */
export async function exportReport(context: Context, args: Arguments): Promise<string | undefined> {
  requireTrust(vscode.l10n.t('Exporting a report'));
  const target = targetOf(context, args);
  const folder = folderOf(target);
  const given = textOf(args, 'kind');
  const kind = given === 'html' || given === 'csv' || given === 'json' ? given : await pickKind();
  if (!kind) return undefined;
  const name = `${path.parse(vscode.Uri.parse(target.uri).fsPath).name}.sensitivity.${kind}`;
  const out = textOf(args, 'out') ?? (await askWhereTo(vscode.l10n.t('Export Report'), vscode.Uri.joinPath(folder, name), KINDS[kind].filter))?.fsPath;
  if (!out) return undefined;

  const bytes = kind === 'html'
    ? (await context.server.requestWithProgress(vscode.l10n.t('Exporting the report'), 'bitlens/reportHtml', { ...target, out })).bytes
    : await writeText(out, kind === 'csv' ? reportCsv(await report(context, target)) : `${JSON.stringify(await withDetails(context, target), null, 2)}\n`);
  const uri = vscode.Uri.file(out);
  offer(vscode.l10n.t('Wrote {0} ({1}).', path.basename(out), formatBytes(bytes)), [
    kind === 'html'
      ? { title: vscode.l10n.t('Open in Browser'), run: () => vscode.env.openExternal(uri) }
      : { title: vscode.l10n.t('Open'), run: () => vscode.window.showTextDocument(uri) },
    { title: vscode.l10n.t('Reveal'), run: () => vscode.commands.executeCommand(vscode.env.remoteName ? 'revealInExplorer' : 'revealFileInOS', uri) },
  ]);
  return out;
}

async function pickKind(): Promise<Kind | undefined> {
  const items = (Object.keys(KINDS) as Kind[]).map((value) => ({ label: KINDS[value].title, detail: KINDS[value].detail, value }));
  return (await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Export Report'), placeHolder: vscode.l10n.t('File type') }))?.value;
}

const report = (context: Context, target: ModelTarget): Promise<ReportData> =>
  context.server.requestWithProgress(vscode.l10n.t('Measuring for the report'), 'bitlens/report', target);

/** The report with each layer's histogram and channel ranges, which the editor otherwise fetches on demand. */
async function withDetails(context: Context, target: ModelTarget): Promise<ReportData> {
  const data = await report(context, target);
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Reading histograms'), cancellable: true }, async (progress, token) => {
    const layers = [];
    for (const layer of data.layers) {
      if (token.isCancellationRequested) throw new vscode.CancellationError();
      const detail: LayerDetail = layer.detail ?? await context.server.request('bitlens/layerDetail', { ...target, path: layer.path }, token);
      layers.push({ ...layer, detail });
      progress.report({ increment: 100 / data.layers.length, message: `${layers.length} / ${data.layers.length}` });
    }
    return { ...data, layers };
  });
}

/** Writes beside the destination and renames, so that nobody ever reads half a file. */
async function writeText(out: string, text: string): Promise<number> {
  const content = new TextEncoder().encode(text);
  const destination = vscode.Uri.file(out);
  const temporary = destination.with({ path: `${destination.path}.${process.pid}.tmp` });
  await vscode.workspace.fs.writeFile(temporary, content);
  await vscode.workspace.fs.rename(temporary, destination, { overwrite: true });
  return content.byteLength;
}
