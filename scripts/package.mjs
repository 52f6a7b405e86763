// Packs the VSIX and checks what is in it: exactly the committed list of files, no maps, no node_modules; prints its size.
// Usage: node scripts/package.mjs [--update]   (--update rewrites the committed list)
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const listFile = path.join(root, 'test/fixtures/package-files.txt');
const vsce = path.join(root, 'node_modules/@vscode/vsce/vsce');
/** Bytes the VSIX may have; raise it on purpose only. */
const BUDGET = 5 * 1024 * 1024;

/** Builds for production, checks the file list, packs. Returns the path of the VSIX. */
export function packageExtension({ update = false } = {}) {
  execFileSync(process.execPath, [path.join(root, 'scripts/build.mjs'), '--production'], { cwd: root, stdio: 'inherit' });
  const files = execFileSync(process.execPath, [vsce, 'ls', '--no-dependencies'], { cwd: root, encoding: 'utf8' })
    .split('\n').map((line) => line.trim()).filter(Boolean).sort();
  if (update) writeFileSync(listFile, `${files.join('\n')}\n`);
  const committed = readFileSync(listFile, 'utf8').split('\n').filter(Boolean);
  const extra = files.filter((file) => !committed.includes(file));
  const gone = committed.filter((file) => !files.includes(file));
  if (extra.length || gone.length) {
    throw new Error(`the package's files changed (run "npm run package -- --update" if that is meant)\n  new: ${extra.join(', ') || '-'}\n  gone: ${gone.join(', ') || '-'}`);
  }
  const forbidden = files.filter((file) => /node_modules|\.map$|\.test-host|(^|\/)test\//.test(file));
  if (forbidden.length) throw new Error(`these must not be packed: ${forbidden.join(', ')}`);
  const out = path.join(root, 'bitlens.vsix');
  execFileSync(process.execPath, [vsce, 'package', '--no-dependencies', '--out', out], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const { size } = statSync(out);
  console.log(`VSIX: ${(size / 1024).toFixed(0)} KB, ${files.length} files`);
  if (size > BUDGET) throw new Error(`the VSIX is larger than its budget of ${BUDGET} bytes`);
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) packageExtension({ update: process.argv.includes('--update') });
