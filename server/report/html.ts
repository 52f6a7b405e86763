/** The report as one file that opens from disk: page, style and data in it, nothing fetched. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { assetPath } from '../../kernels/assets';
import type { ReportData } from '../protocol';

const ESCAPES: Readonly<Record<string, string>> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026', '\u2028': '\\u2028', '\u2029': '\\u2029' };

/** JSON that can stand inside a script element whatever names it holds. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (char) => ESCAPES[char]!);
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
const hash = (text: string): string => `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'`;

/**
 * The whole document. The content policy names the one script and the one style by their hashes, so that nothing in the
 * data could run even if it got out of its element.
 */
export function reportDocument(report: ReportData, script: string, style: string): string {
  // `</script` inside the code would end the element; inside a string or expression `<\/script` means the same.
  const code = script.replace(/<\/(script)/gi, '<\\/$1').replace(/<!--/g, '<\\!--');
  const css = style.replace(/<\/(style)/gi, '<\\/$1');
  const policy = `default-src 'none'; script-src ${hash(code)}; style-src ${hash(css)}; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(report.title)}</title>
<style>${css}</style>
</head>
<body>
<main></main>
<noscript>This report draws its tables with JavaScript, from data in this file; nothing is fetched.</noscript>
<script id="bitlens-data" type="application/json">${scriptJson(report)}</script>
<script>${code}</script>
</body>
</html>
`;
}

/** @throws Error naming the build command when the page's code is not beside the program. */
export async function reportHtml(report: ReportData): Promise<string> {
  const [script, style] = await Promise.all([readFile(assetPath('report.js'), 'utf8'), readFile(assetPath('report.css'), 'utf8')]);
  return reportDocument(report, script, style);
}
