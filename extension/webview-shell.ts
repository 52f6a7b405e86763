/**
 * The HTML around our pages, and the rules they live under: only scripts with this load's nonce, only styles and images
 * from dist/, nothing from anywhere else. No data is written into the HTML: it arrives by message once the page is ready.
 */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

export type Page = 'report' | 'checkpoint' | 'diff';

/** Options of a webview that shows one of our pages. */
export function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, enableForms: false, enableCommandUris: false, localResourceRoots: [vscode.Uri.joinPath(extensionUri, 'dist')] };
}

export function shellHtml(webview: vscode.Webview, extensionUri: vscode.Uri, page: Page, title: string): string {
  const nonce = randomBytes(16).toString('base64');
  const asset = (name: string): string => escapeHtml(webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', name)).toString());
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; img-src ${webview.cspSource} data:; font-src ${webview.cspSource}`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${asset(`${page}.css`)}">
</head>
<body>
<main></main>
<script nonce="${nonce}" src="${asset(`${page}.js`)}"></script>
</body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]!);
}
