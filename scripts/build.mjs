// Builds everything that is shipped: AssemblyScript kernels, then one esbuild bundle per process.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { writeNotices } from './notices.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const production = process.argv.includes('--production');
const watch = process.argv.includes('--watch');
const dist = path.join(root, 'dist');

/** Options shared by every Node bundle, the tests' included. */
export const nodeOptions = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // web-tree-sitter's ESM build needs import.meta.url, which a CommonJS bundle does not have: take its .cjs build.
  alias: { 'web-tree-sitter': require.resolve('web-tree-sitter') },
  loader: { '.scm': 'text', '.html': 'text' },
  logLevel: 'warning',
};

/** Compiles the AssemblyScript kernels to dist/kernels.wasm, unless they are what was compiled last: it takes longer than everything else. */
export function buildWasm() {
  const folder = path.join(root, 'kernels/wasm/assembly');
  const entry = path.join(folder, 'index.ts');
  if (!existsSync(entry)) return;
  const compiler = path.join(root, 'node_modules/assemblyscript');
  const flags = ['-O3', '--noAssert', '--enable', 'simd', '--runtime', 'stub', '--importMemory'];
  const hash = createHash('sha256').update(JSON.stringify(flags)).update(readFileSync(path.join(compiler, 'package.json')));
  for (const file of readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ts')).sort()) hash.update(file).update(readFileSync(path.join(folder, file)));
  const sources = hash.digest('hex');
  const target = path.join(dist, 'kernels.wasm');
  const stamp = path.join(dist, 'kernels.sources');
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return;
  execFileSync(process.execPath, [path.join(compiler, 'bin/asc.js'), entry, '--outFile', target, ...flags], { stdio: 'inherit', cwd: root });
  writeFileSync(stamp, sources);
}

/** Copies what is read at run time next to the bundles: the parser's WebAssembly, the sources of built-in model families, and of packages that model code imports. */
export function copyAssets() {
  mkdirSync(dist, { recursive: true });
  copyFileSync(path.join(path.dirname(require.resolve('web-tree-sitter')), 'web-tree-sitter.wasm'), path.join(dist, 'web-tree-sitter.wasm'));
  copyFileSync(path.join(root, 'node_modules/tree-sitter-python/tree-sitter-python.wasm'), path.join(dist, 'tree-sitter-python.wasm'));
  const families = readdirSync(path.join(root, 'server/families')).filter((name) => name.endsWith('.py'));
  mkdirSync(path.join(dist, 'families'), { recursive: true });
  for (const name of readdirSync(path.join(dist, 'families'))) if (!families.includes(name)) rmSync(path.join(dist, 'families', name), { recursive: true });
  for (const name of families) copyFileSync(path.join(root, 'server/families', name), path.join(dist, 'families', name));
  rmSync(path.join(dist, 'packages'), { recursive: true, force: true });
  cpSync(path.join(root, 'server/packages'), path.join(dist, 'packages'), { recursive: true });
}

async function main() {
  copyAssets();
  buildWasm();
  const common = { ...nodeOptions, minify: production, sourcemap: !production };
  const node = [
    ['extension', 'extension/main.ts', { external: ['vscode'] }],
    ['server', 'server/main.ts'],
    ['cli', 'server/cli/start.ts', { banner: { js: '#!/usr/bin/env node' } }],
    ['cli-main', 'server/cli/main.ts'],
    ['cli-inspect', 'server/cli/main-inspect.ts'],
    ['kernel', 'kernels/process/main.ts'],
    ['worker', 'kernels/process/worker.ts'],
  ];
  const jobs = node
    .filter(([, entry]) => existsSync(path.join(root, entry)))
    .map(([name, entry, extra]) => ({ ...common, ...extra, entryPoints: [path.join(root, entry)], outfile: path.join(dist, `${name}.js`) }));
  // Webview pages: media/<page>/main.ts and its style become dist/<page>.js and dist/<page>.css.
  for (const page of readdirSync(path.join(root, 'media'), { withFileTypes: true })) {
    const entry = path.join(root, 'media', page.name, 'main.ts');
    if (!page.isDirectory() || !existsSync(entry)) continue;
    jobs.push({ bundle: true, platform: 'browser', format: 'iife', target: 'es2022', minify: production, logLevel: 'warning',
      entryPoints: [entry], outfile: path.join(dist, `${page.name}.js`) });
  }
  if (watch) {
    const contexts = await Promise.all(jobs.map((job) => esbuild.context(job)));
    await Promise.all(contexts.map((context) => context.watch()));
    console.log('watching');
    return;
  }
  const built = await Promise.all(jobs.map((job) => esbuild.build({ ...job, metafile: true })));
  writeNotices(root, built.map(({ metafile }) => metafile), ['web-tree-sitter', 'tree-sitter-python', 'onnxruntime-node', 'onnxruntime-common'], path.join(dist, 'third-party-notices.txt'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
