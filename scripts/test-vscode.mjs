// The suites that need an editor, in real VS Code: the extension-host suite through @vscode/test-electron, then the user
// journeys against the packed VSIX. Without a desktop VS Code (BITLENS_VSCODE=<executable>) the cached host is used.
// Usage: node scripts/test-vscode.mjs [--host-only | --journeys-only]
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { nodeOptions } from './build.mjs';
import { installHost } from './host/install.mjs';
import { temporaryCopy } from './host/serve.mjs';
import { packageExtension } from './package.mjs';

const require = createRequire(import.meta.url);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const results = path.join(root, 'test-results');
const only = process.argv.find((arg) => arg.endsWith('-only'));
let passed = 0;
let failed = 0;

async function hostSuite() {
  const { runTests } = require('@vscode/test-electron');
  const suite = path.join(root, 'dist/test-extension/index.js');
  await esbuild.build({ ...nodeOptions, entryPoints: [path.join(root, 'test/extension/index.ts')], outfile: suite, external: ['vscode'], sourcemap: 'inline' });
  const workspace = temporaryCopy(path.join(root, 'examples/shakespeare-gpt'));
  const resultFile = path.join(results, 'extension-host.json');
  rmSync(resultFile, { force: true });
  let ok = true;
  try {
    await runTests({
      vscodeExecutablePath: process.env.BITLENS_VSCODE ?? path.join(root, 'scripts/host/shim.mjs'),
      extensionDevelopmentPath: root,
      extensionTestsPath: suite,
      launchArgs: [workspace],
      extensionTestsEnv: { BITLENS_TEST_RESULT: resultFile },
    });
  } catch (error) {
    ok = false;
    console.error(String(error));
  }
  const counts = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : { passed: 0, failed: 1 };
  passed += counts.passed;
  failed += counts.failed || (ok ? 0 : 1);
}

async function journeys() {
  const out = path.join(root, 'dist/test-journey');
  const files = readdirSync(path.join(root, 'test/journey')).filter((file) => file.endsWith('.test.ts')).map((file) => path.join(root, 'test/journey', file));
  await esbuild.build({ ...nodeOptions, entryPoints: files, outdir: out, sourcemap: 'inline', external: ['playwright-core', 'axe-core', '*.mjs'],
    define: { 'process.env.BITLENS_ROOT': JSON.stringify(root) } });
  const compiled = readdirSync(out).filter((file) => file.endsWith('.test.js')).map((file) => path.join(out, file));
  const output = await new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', '--test', '--test-concurrency=1', '--test-reporter=spec', ...compiled],
      { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, BITLENS_VSIX: vsix, BITLENS_RESULTS: results } });
    let text = '';
    child.stdout.on('data', (chunk) => { text += chunk; process.stdout.write(chunk); });
    child.on('exit', () => resolve(text));
  });
  passed += Number(/ℹ pass (\d+)/.exec(output)?.[1] ?? 0);
  failed += Number(/ℹ fail (\d+)/.exec(output)?.[1] ?? 1);
}

installHost();
mkdirSync(results, { recursive: true });
const [vsix] = await packageExtension();
if (only !== '--journeys-only') await hostSuite();
if (only !== '--host-only') await journeys();
console.log(`editor: ${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
