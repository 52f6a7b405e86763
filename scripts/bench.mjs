// Runs the benchmarks: they print figures and ratios measured in one run. Usage: npm run bench [-- NAME... [--FLAG VALUE...]];
// without a name all but those that take minutes. Flags go to the benchmark.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { nodeOptions } from './build.mjs';
import { packageExtension } from './package.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const args = process.argv.slice(2);
const firstFlag = args.findIndex((arg) => arg.startsWith('--'));
const [wanted, flags] = firstFlag < 0 ? [args, []] : [args.slice(0, firstFlag), args.slice(firstFlag)];
/** Run only when named: it makes a file of 4 GB. */
const LONG = ['big.bench.ts'];
if (wanted.length > 0) execFileSync(process.execPath, [path.join(root, 'scripts/build.mjs'), '--production'], { stdio: 'inherit' });
else {
  // Builds for production, packs, prints the size.
  try { await packageExtension({ targets: ['universal'] }); } catch (error) { console.error(`VSIX: not packed: ${error.message}`); }
}
const entries = readdirSync(path.join(root, 'bench')).filter((file) => file.endsWith('.bench.ts'))
  .filter((file) => (wanted.length === 0 ? !LONG.includes(file) : wanted.some((name) => file.startsWith(name))));
if (!entries.length) { console.error(`no benchmark of that name; there are: ${existsSync(path.join(root, 'bench')) ? readdirSync(path.join(root, 'bench')).join(', ') : 'none'}`); process.exit(2); }
const out = path.join(root, 'dist/bench');
await esbuild.build({ ...nodeOptions, entryPoints: entries.map((file) => path.join(root, 'bench', file)), outdir: out, define: { 'process.env.BITLENS_ROOT': JSON.stringify(root) } });
let failed = 0;
for (const entry of entries) {
  console.log(`\n== ${entry.replace('.bench.ts', '')}`);
  failed += spawnSync(process.execPath, ['--expose-gc', path.join(out, entry.replace(/\.ts$/, '.js')), ...flags], { cwd: root, stdio: 'inherit' }).status === 0 ? 0 : 1;
}
process.exit(failed ? 1 : 0);
