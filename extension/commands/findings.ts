/** What the code actions on a finding do: show its documentation, change its severity. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { SEVERITIES, writeRuleSeverity, type RuleSeverity } from '../config';
import { Refusal } from '../errors';
import { textOf, type Arguments } from '../ui/arguments';

function codeOf(args: Arguments): string | undefined {
  const code = textOf(args, 'code');
  if (code !== undefined && !/^BL\d{3}$/.test(code)) throw new Refusal(vscode.l10n.t('{0} is not the code of a Bitlens finding.', code.slice(0, 40)));
  return code;
}

/** Arguments: `{code?}`. Opens the page of findings at the code's heading. */
export async function openDocumentation(context: Context, args: Arguments): Promise<void> {
  const code = codeOf(args);
  const page = context.file('docs', 'findings.md');
  const text = await vscode.workspace.fs.readFile(page).then((bytes) => new TextDecoder().decode(bytes), () => undefined);
  if (text === undefined) throw new Refusal(vscode.l10n.t('The documentation of findings is missing: the extension is not installed completely. Reinstall Bitlens.'));
  const heading = code && text.split('\n').find((line) => /^#+ /.test(line) && line.includes(code));
  await vscode.commands.executeCommand('markdown.showPreview', heading ? page.with({ fragment: slug(heading) }) : page);
}

/** The anchor that Markdown previews give a heading. */
function slug(heading: string): string {
  return heading.replace(/^#+\s*/, '').trim().toLowerCase().replace(/[^\p{Letter}\p{Number}\s_-]/gu, '').replace(/\s/g, '-');
}

/** Arguments: `{code?, severity?}`; what is missing is asked for. */
export async function setSeverity(_context: Context, args: Arguments): Promise<void> {
  const code = codeOf(args) ?? await vscode.window.showInputBox({ title: vscode.l10n.t('Set Severity'), prompt: vscode.l10n.t('Code of the finding, for example BL101'),
    validateInput: (value) => /^BL\d{3}$/.test(value) ? undefined : vscode.l10n.t('BL and three digits.') });
  if (!code) return;
  const given = textOf(args, 'severity');
  const severity = SEVERITIES.find((one) => one === given) ?? await pickSeverity(code);
  if (severity) await writeRuleSeverity(code, severity);
}

async function pickSeverity(code: string): Promise<RuleSeverity | undefined> {
  const now = vscode.workspace.getConfiguration('bitlens').get<Record<string, unknown>>('rules')?.[code];
  const items = SEVERITIES.map((value) => ({ label: value, value, description: value === now ? vscode.l10n.t('set now') : '' }));
  return (await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Severity of {0}', code), placeHolder: vscode.l10n.t('How to show this finding') }))?.value;
}
