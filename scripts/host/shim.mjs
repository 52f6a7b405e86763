#!/usr/bin/env node
// Stands in for the desktop VS Code executable: takes the flags @vscode/test-electron passes, runs the same suite in the
// cached VS Code host, and exits with its verdict. With a desktop VS Code the very same suite runs there instead.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { host } from './install.mjs';
import { serve } from './serve.mjs';

const flag = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const development = flag('extensionDevelopmentPath');
const tests = flag('extensionTestsPath');
const folder = process.argv.slice(2).find((arg) => !arg.startsWith('-') && path.isAbsolute(arg));
if (!development || !tests || !folder) {
  console.error('shim: needs --extensionDevelopmentPath, --extensionTestsPath and a workspace folder');
  process.exit(2);
}
if (!host.chromium) { console.error('shim: install chromium'); process.exit(2); }

const server = await serve({ driver: true });
const browser = await chromium.launch({ executablePath: host.chromium, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'] });
const finish = async (code) => {
  await browser.close().catch(() => undefined);
  server.stop();
  process.exit(code);
};
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
await page.exposeFunction('codeAutomationLog', (type, args) => {
  const text = (Array.isArray(args) ? args : [args]).map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' ');
  if (!text.startsWith('%c')) console.log(text);
});
await page.exposeFunction('codeAutomationExit', (code) => { void finish(code); });
const authority = `127.0.0.1:${server.port}`;
const uri = (file) => `vscode-remote://${authority}${file}`;
const payload = JSON.stringify([['extensionDevelopmentPath', uri(development)], ['extensionTestsPath', uri(tests)]]);
await page.goto(`${server.url}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(payload)}`);
setTimeout(() => { console.error(`the suite did not finish in 5 minutes\n${server.log()}`); void finish(1); }, 300_000);
