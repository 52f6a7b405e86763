import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * Finds a file that the build puts beside the bundles (wasm, process entry points).
 * Bundles run from dist/ itself; tests run from a folder below it, so the search walks up.
 *
 * @throws Error naming the file and the build command when it is not there.
 */
export function assetPath(name: string): string {
  let folder = __dirname;
  for (;;) {
    const candidate = path.join(folder, name);
    if (existsSync(candidate)) return candidate;
    const parent = path.dirname(folder);
    if (parent === folder) break;
    folder = parent;
  }
  throw new Error(`${name} is missing beside the program; run "npm run build"`);
}
