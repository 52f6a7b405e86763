// Runs every test that needs no editor: bundles each test file, then hands them to node's test runner.
// Usage: node scripts/test.mjs [--no-build] [FOLDER_OR_FILE_PREFIX...]   e.g. node scripts/test.mjs test/unit/checkpoint
import { spawn } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { nodeOptions } from './build.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const args = process.argv.slice(2);
const skipBuild = args.includes('--no-build');
const wanted = args.filter((arg) => !arg.startsWith('--')).map((arg) => path.resolve(root, arg));
const rooms = ['unit', 'corpus', 'trace', 'lsp', 'kernel', 'cli'].map((room) => path.join(root, 'test', room));

function* testFiles(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* testFiles(full);
    else if (entry.name.endsWith('.test.ts')) yield full;
  }
}

const run = (command, commandArgs, options = {}) => new Promise((resolve) => {
  spawn(command, commandArgs, { stdio: 'inherit', cwd: root, ...options }).on('exit', (code) => resolve(code ?? 1));
});

if (!skipBuild) {
  const built = await run(process.execPath, [path.join(root, 'scripts/build.mjs')]);
  if (built !== 0) process.exit(built);
}
const files = rooms.flatMap((room) => [...testFiles(room)])
  .filter((file) => wanted.length === 0 || wanted.some((prefix) => file.startsWith(prefix)));
if (files.length === 0) { console.error('no test files match'); process.exit(2); }
// Each run has its own output folder, so that two runs side by side do not disturb each other.
const out = path.join(root, 'dist', wanted.length ? `test-${process.pid}` : 'test');
rmSync(out, { recursive: true, force: true });
await esbuild.build({ ...nodeOptions, entryPoints: files, outdir: out, outbase: path.join(root, 'test'), sourcemap: 'inline',
  define: { 'process.env.BITLENS_ROOT': JSON.stringify(root) } });
const compiled = files.map((file) => path.join(out, path.relative(path.join(root, 'test'), file)).replace(/\.ts$/, '.js'));
const code = await run(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=spec', ...(process.env.CI ? [] : []), ...compiled]);
if (wanted.length) rmSync(out, { recursive: true, force: true });
process.exit(code);
