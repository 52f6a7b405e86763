// Packs the VSIX and checks what is in it: exactly the committed list of files, no maps, no node_modules; prints its size.
// Usage: node scripts/package.mjs [--target TARGET]... [--update]
//   TARGET: universal (no library to run models with), linux-x64, linux-arm64, darwin-arm64, win32-x64, win32-arm64, or all;
//   without one: universal, and the platform of this machine. --update rewrites the committed list.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PLATFORMS, stageRuntime, thisPlatform } from './runtime.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
const listFile = path.join(root, 'test/fixtures/package-files.txt');
const vsce = path.join(root, 'node_modules/@vscode/vsce/vsce');
/** Bytes the VSIX may have without and with the library that runs models; raise them on purpose only. */
const BUDGET = { universal: 5 * 1024 * 1024, platform: 25 * 1024 * 1024 };

/** Builds for production, checks the file list, packs one VSIX per target. Returns the paths, in that order. */
export async function packageExtension({ targets = [thisPlatform() ?? 'universal'], update = false } = {}) {
  execFileSync(process.execPath, [path.join(root, 'scripts/build.mjs'), '--production'], { cwd: root, stdio: 'inherit' });
  const packed = [];
  try {
    for (const target of targets) packed.push(await pack(target, update));
  } finally { await stageRuntime(dist, 'universal'); }
  return packed;
}

async function pack(target, update) {
  const runtime = (await stageRuntime(dist, target)).map((file) => `dist/${file}`);
  const files = execFileSync(process.execPath, [vsce, 'ls', '--no-dependencies'], { cwd: root, encoding: 'utf8' })
    .split('\n').map((line) => line.trim()).filter(Boolean).sort();
  const common = files.filter((file) => !runtime.includes(file));
  if (update) writeFileSync(listFile, `${common.join('\n')}\n`);
  const committed = readFileSync(listFile, 'utf8').split('\n').filter(Boolean);
  const extra = common.filter((file) => !committed.includes(file));
  const gone = [...committed, ...runtime].filter((file) => !files.includes(file));
  if (extra.length || gone.length) {
    throw new Error(`the package's files changed (run "npm run package -- --update" if that is meant)\n  new: ${extra.join(', ') || '-'}\n  gone: ${gone.join(', ') || '-'}`);
  }
  const forbidden = files.filter((file) => /node_modules|\.map$|\.test-host|(^|\/)test\//.test(file));
  if (forbidden.length) throw new Error(`these must not be packed: ${forbidden.join(', ')}`);
  const out = path.join(root, target === 'universal' ? 'bitlens.vsix' : `bitlens-${target}.vsix`);
  const named = target === 'universal' ? [] : ['--target', target];
  execFileSync(process.execPath, [vsce, 'package', '--no-dependencies', ...named, '--out', out], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const { size } = statSync(out);
  console.log(`VSIX for ${target}: ${(size / 1024).toFixed(0)} KB, ${files.length} files`);
  const budget = target === 'universal' ? BUDGET.universal : BUDGET.platform;
  if (size > budget) throw new Error(`the VSIX for ${target} is larger than its budget of ${budget} bytes`);
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.flatMap((arg, i) => (process.argv[i - 1] === '--target' ? [arg] : []));
  const all = ['universal', ...Object.keys(PLATFORMS)];
  const unknown = asked.filter((target) => target !== 'all' && !all.includes(target));
  if (unknown.length) throw new Error(`${unknown.join(', ')}: there is no such target; there are: all, ${all.join(', ')}`);
  const here = thisPlatform();
  const targets = asked.includes('all') ? all : asked.length ? asked : ['universal', ...(here ? [here] : [])];
  await packageExtension({ targets, update: process.argv.includes('--update') });
}
