/** Packages whose most used models have their source in this program (server/packages): read where the workspace has none of its own. */
import { readFileSync } from 'node:fs';
import { assetPath } from '../../kernels/assets';

export const BUILT_IN: ReadonlySet<string> = new Set(['torchvision']);

let folder: string | undefined;
/** The folder that holds them. */
export const builtInPackages = (): string => (folder ??= assetPath('packages'));

/** Text of a file in it, or null when there is none. */
export function builtInSource(file: string): string | null {
  try { return readFileSync(file, 'utf8'); } catch { return null; }
}
