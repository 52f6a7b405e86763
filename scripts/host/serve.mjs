// Serves a workspace in the cached VS Code host: a fresh profile, our packed VSIX, loopback only.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { host, installHost } from './install.mjs';

const quiet = {
  'telemetry.telemetryLevel': 'off', 'extensions.autoCheckUpdates': false, 'extensions.autoUpdate': false, 'workbench.startupEditor': 'none',
  'chat.disableAIFeatures': true, 'workbench.tips.enabled': false, 'workbench.reduceMotion': 'on', 'security.workspace.trust.banner': 'never',
  'workbench.secondarySideBar.defaultVisibility': 'hidden', 'workbench.layoutControl.enabled': false, 'window.commandCenter': false,
};

const freePort = () => new Promise((resolve, reject) => {
  const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

const healthy = (url) => new Promise((resolve) => {
  get(url, (response) => { response.resume(); resolve(response.statusCode === 200); }).on('error', () => resolve(false));
});

/** Copies an example so that a session may write into it. */
export function temporaryCopy(folder) {
  const target = mkdtempSync(path.join(os.tmpdir(), 'bitlens-workspace-'));
  const copy = path.join(target, path.basename(folder));
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/**
 * Starts the host.
 * @param {{ vsix?: string, settings?: Record<string, unknown>, trust?: boolean, driver?: boolean, env?: Record<string, string>, port?: number }} options
 *   `trust`: false shows Restricted Mode; `driver`: lets a page start the extension-host test runner.
 * @returns {Promise<{ url: string, port: number, profile: string, setSettings(s: Record<string, unknown>): void, stop(): void, log(): string }>}
 */
export async function serve(options = {}) {
  installHost();
  const profile = mkdtempSync(path.join(os.tmpdir(), 'bitlens-profile-'));
  const extensions = path.join(profile, 'extensions');
  // Without a marketplace the host itself asks nothing of the network either.
  const env = { ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('VSCODE_'))), EXTENSIONS_GALLERY: '{"serviceUrl":""}' };
  const base = ['--config', '/dev/null', '--user-data-dir', profile, '--extensions-dir', extensions];
  if (options.vsix) {
    execFileSync(host.node, [host.codeServer, ...base, '--install-extension', options.vsix], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const setSettings = (settings) => {
    mkdirSync(path.join(profile, 'User'), { recursive: true });
    writeFileSync(path.join(profile, 'User/settings.json'), JSON.stringify({ ...quiet, ...settings }, null, 2));
  };
  setSettings(options.settings ?? {});
  const port = options.port ?? await freePort();
  const args = [host.codeServer, ...base, '--auth', 'none', '--bind-addr', `127.0.0.1:${port}`, '--disable-telemetry',
    '--disable-update-check', '--disable-getting-started-override'];
  if (options.trust !== false) args.push('--disable-workspace-trust');
  if (options.driver) args.push('--vscode-option', 'enable-smoke-test-driver');
  const child = spawn(host.node, args, { env: { ...env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let log = '';
  const keep = (chunk) => { log = (log + chunk).slice(-65536); };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const stop = () => {
    try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it is gone already */ }
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  process.once('exit', stop);
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) break;
    if (await healthy(`${url}/healthz`)) return { url, port, profile, setSettings, stop, log: () => log };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  stop();
  throw new Error(`the editor host did not start:\n${log}`);
}
