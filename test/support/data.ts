import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';

/** Root of the repository, set when the tests are bundled. */
export const repositoryRoot: string = process.env.BITLENS_ROOT!;

/** Folder of real inputs and oracles: BITLENS_DATA, else ../shared/data beside the repository. */
export const dataRoot: string = process.env.BITLENS_DATA ?? path.resolve(repositoryRoot, '../shared/data');

/** Absolute path of a real input or oracle, which may not exist: see {@link needsData}. */
export function dataPath(relative: string): string {
  return path.join(dataRoot, relative);
}

/**
 * True when the file or folder is there. Otherwise the test is skipped, naming what is missing: never counted as passed.
 */
export function needsData(t: TestContext, relative: string): boolean {
  if (existsSync(dataPath(relative))) return true;
  t.skip(`needs ${relative} (set BITLENS_DATA to the folder of real inputs)`);
  return false;
}
