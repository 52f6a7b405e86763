// Opens the extension on the bundled example: desktop VS Code when it is found, else the cached VS Code host in the browser.
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from './host/serve.mjs';
import { packageExtension } from './package.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const example = path.join(root, 'examples/shakespeare-gpt');
const windows = process.platform === 'win32';

const found = ['code', 'code-insiders', 'codium'].find((name) => spawnSync(windows ? 'where' : 'which', [name], { stdio: 'ignore' }).status === 0);
if (found && !process.argv.includes('--browser')) {
  console.log(`opening the example in ${found}`);
  spawn(found, ['--new-window', `--extensionDevelopmentPath=${root}`, example, path.join(example, 'model.py')], { stdio: 'inherit', shell: windows }).on('exit', (code) => process.exit(code ?? 0));
} else {
  const server = await serve({ vsix: (await packageExtension())[0] });
  console.log(`\nBitlens is open at\n  ${server.url}/?folder=${encodeURIComponent(example)}\nPress Ctrl+C to stop.`);
  if (!process.env.CI) spawn('xdg-open', [`${server.url}/?folder=${encodeURIComponent(example)}`], { stdio: 'ignore', detached: true }).on('error', () => undefined).unref();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { server.stop(); process.exit(0); });
}
