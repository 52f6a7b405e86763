/**
 * Configuration files of the project that a model may have been built from: YAML, JSON and block lists. Which one it was
 * the checkpoint says: a file counts only when the model built with it fits the weights.
 */
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseConfiguration } from '../python';
import type { RootCandidate } from '../python/module-tree';
import { CONFIG_PARAMETER } from './model-values';

export interface ConfigFile {
  readonly path: string;
  /** The mapping in it; null when it is no YAML or JSON mapping (a list of blocks, an ini file). */
  readonly values: Readonly<Record<string, unknown>> | null;
}

const CONFIG = /\.(?:ya?ml|json|cfg)$/i;
const NOT_A_MODEL = /^(?:package(?:-lock)?|tsconfig.*|setup|tokenizer.*|vocab.*|special_tokens_map|added_tokens|merges|bitlens|recipe.*|.*\.recipe|environment|mkdocs|docker-compose|codecov|pyproject|.*\.index)\.\w+$/i;
const SKIPPED = /^(?:\.|node_modules$|__pycache__$|docs?$|site-packages$|dist$|build$)/;
const MAX_BYTES = 64 * 1024;
const MAX_ENTRIES = 3000;
const MAX_LEVELS = 6;
const MAX_DEPTH = 4;
/** Files that are read at most: the others' names say less. */
const MAX_READ = 24;

/** The project's configurations, those named like the checkpoint first, then the nearest. Broken files are passed over. */
export async function configFiles(source: string, roots: readonly string[], checkpoint: string): Promise<ConfigFile[]> {
  const found = await listed(source, roots);
  const nearness = (file: string): number => path.relative(path.dirname(source), file).split(path.sep).length;
  const ranked = found.map((file) => ({ file, likeness: likeness(file, checkpoint), far: nearness(file) }))
    .sort((a, b) => b.likeness - a.likeness || a.far - b.far || (a.file < b.file ? -1 : 1));
  const read: ConfigFile[] = [];
  for (const { file } of ranked.slice(0, MAX_READ)) {
    try {
      if ((await stat(file)).size > MAX_BYTES) continue;
      read.push({ path: file, values: parseConfiguration(file, await readFile(file, 'utf8')) });
    } catch { /* gone meanwhile, or not readable: it says nothing */ }
  }
  return read;
}

async function listed(source: string, roots: readonly string[]): Promise<string[]> {
  const root = roots.filter((folder) => source.startsWith(folder + path.sep)).sort((a, b) => b.length - a.length)[0] ?? path.dirname(source);
  const found: string[] = [];
  const seen = new Set<string>();
  let entries = 0;
  for (let top = path.dirname(source), level = 0; level < MAX_LEVELS; level += 1) {
    let pending = [{ folder: top, depth: 0 }];
    while (pending.length > 0 && entries < MAX_ENTRIES) {
      const next: typeof pending = [];
      for (const { folder, depth } of pending) {
        if (seen.has(folder) || entries >= MAX_ENTRIES) continue;
        seen.add(folder);
        const inside: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
        for (const entry of inside.sort((a, b) => (a.name < b.name ? -1 : 1))) {
          entries += 1;
          if (entry.isDirectory()) { if (depth < MAX_DEPTH && !SKIPPED.test(entry.name)) next.push({ folder: path.join(folder, entry.name), depth: depth + 1 }); }
          else if (entry.isFile() && CONFIG.test(entry.name) && !NOT_A_MODEL.test(entry.name)) found.push(path.join(folder, entry.name));
        }
      }
      pending = next;
    }
    if (top === root || top === path.dirname(top)) break;
    top = path.dirname(top);
  }
  return found;
}

const plainName = (file: string): string => path.basename(file).replace(/\.[^.]+$/, '').toLowerCase().replace(/[^a-z0-9]+/g, '');

/** How much of a configuration's name the checkpoint's name has: `yolov5s.yaml` for `yolov5s-best.pt`. */
function likeness(config: string, checkpoint: string): number {
  const [name, wanted] = [plainName(config), plainName(checkpoint)];
  if (name === wanted) return 100;
  if (name.length > 2 && wanted.includes(name)) return 40 + name.length;
  if (wanted.length > 2 && name.includes(wanted)) return 30 - Math.min(20, name.length - wanted.length);
  const words = (file: string): string[] => path.basename(file).toLowerCase().split(/[^a-z0-9]+|(?<=[a-z])(?=\d)/).filter((word) => word.length > 1);
  const other = new Set(words(checkpoint));
  return words(config).filter((word) => other.has(word)).length;
}

/** Parameters that take the path of a file. */
const PATH_PARAMETER = /^(?:\w+_)?(?:cfg|config|conf|yaml|json)(?:_?(?:path|file|name))?$|^(?:yaml|cfg|config)_?(?:path|file)$/i;
const MAX_INNER = 24;

/** Arguments that a configuration gives a candidate: its path, its values by name, or a part of it as a whole. Best first. */
export function argumentsOf(candidate: RootCandidate, file: ConfigFile): Record<string, unknown>[] {
  const { missingArguments: missing, adjustable = [] } = candidate;
  const found: Record<string, unknown>[] = [];
  const takesPath = [...missing.filter((name) => PATH_PARAMETER.test(name)),
    ...adjustable.filter(({ value, name }) => (typeof value === 'string' && CONFIG.test(value)) || (value === null && PATH_PARAMETER.test(name))).map(({ name }) => name)];
  if (takesPath.length > 0) found.push({ [takesPath[0]!]: file.path });
  if (!file.values) return found;
  const known = new Set(candidate.parameters ?? missing);
  const parts = innerMappings(file.values);
  const named = parts.map((part) => Object.entries(part).filter(([name]) => known.has(name)))
    .filter((pairs) => missing.length > 0 && pairs.some(([name]) => missing.includes(name)))
    .sort((a, b) => b.length - a.length);
  if (named[0]) found.push(Object.fromEntries(named[0]));
  const [only] = missing;
  // One thing is asked for: a configuration, whatever it is called.
  if (missing.length === 1 && takesPath.length === 0 && !named[0]) for (const part of parts.slice(0, 3)) found.push({ [only!]: part });
  else if (missing.some((name) => CONFIG_PARAMETER.test(name)) && !named[0]) found.push({ [missing.find((name) => CONFIG_PARAMETER.test(name))!]: file.values });
  return found;
}

/** Mappings inside, the outermost first: `model: {params: {...}}`. */
function innerMappings(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>[] {
  const found = [values];
  for (let at = 0; at < found.length && found.length < MAX_INNER; at += 1) {
    for (const item of Object.values(found[at]!)) if (typeof item === 'object' && item !== null && !Array.isArray(item)) found.push(item as Record<string, unknown>);
  }
  return found;
}
