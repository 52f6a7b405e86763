// Licences of the packages whose code is inside the bundles, read from what esbuild put in.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Writes the notices file.
 * @param {string} root repository
 * @param {readonly object[]} metafiles esbuild's accounts of the bundles
 * @param {readonly string[]} copied packages whose files are copied beside the bundles
 * @param {string} out
 */
export function writeNotices(root, metafiles, copied, out) {
  const packages = new Set(copied);
  for (const { inputs } of metafiles) {
    for (const file of Object.keys(inputs)) {
      const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file);
      if (match) packages.add(match[1]);
    }
  }
  const sections = [...packages].sort().map((name) => {
    const folder = path.join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file && existsSync(path.join(folder, file)) ? readFileSync(path.join(folder, file), 'utf8').trim() : `Licence: ${license}`;
    return `${name} ${version} (${license})\n\n${text}`;
  });
  writeFileSync(out, `Bitlens contains code of these packages.\n\n${sections.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
}
