// Writes the pages that are generated from the registries (docs/findings.md, formats.md, methods.md).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { nodeOptions } from './build.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-docs-'));
const bundle = path.join(folder, 'pages.cjs');
await esbuild.build({ ...nodeOptions, entryPoints: [path.join(root, 'scripts/docs/pages.ts')], outfile: bundle });
const { pages } = createRequire(import.meta.url)(bundle);
for (const [file, text] of Object.entries(pages)) {
  writeFileSync(path.join(root, file), text());
  console.log(`wrote ${file}`);
}
rmSync(folder, { recursive: true });
