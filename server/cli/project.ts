/** Folders that imports of a model file are looked up in: what a workspace folder is to the editor. */
import { existsSync } from 'node:fs';
import path from 'node:path';

const MARKS = ['.git', 'pyproject.toml', 'setup.py', 'setup.cfg', 'requirements.txt', 'bitlens.json'];
const MAX_LEVELS = 12;

const roots = new Set<string>();

/** The project a file belongs to: the nearest folder above it with one of the usual marks, else its own folder. */
export function projectOf(file: string): string {
  let folder = path.dirname(file);
  for (let level = 0; level < MAX_LEVELS; level += 1) {
    if (MARKS.some((mark) => existsSync(path.join(folder, mark)))) return folder;
    const parent = path.dirname(folder);
    if (parent === folder) break;
    folder = parent;
  }
  return path.dirname(file);
}

export function addProjectOf(file: string): void {
  roots.add(projectOf(file));
}

export const projectRoots = (): readonly string[] => [...roots];
