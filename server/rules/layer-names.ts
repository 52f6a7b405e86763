/** Many layer paths as a short text: `layers.0.attn`, `layers.1.attn`, ... become `layers.0..11.attn`; `layer1`, `layer2` become `layer1..2`. */
import { listText, plain } from './text';

/** A segment that ends in a plain number: an index, or a numbered name. */
const NUMBERED = /^(.*?)(0|[1-9]\d{0,8})$/;

/** Contiguous runs of sorted indices: `0..3,5`. */
function runs(indices: readonly number[]): string {
  const parts: string[] = [];
  for (let start = 0; start < indices.length;) {
    let end = start;
    while (end + 1 < indices.length && indices[end + 1] === indices[end]! + 1) end++;
    parts.push(end === start ? String(indices[start]) : `${indices[start]}..${indices[end]}`);
    start = end + 1;
  }
  return parts.length > 4 ? `${parts.slice(0, 3).join(',')},…` : parts.join(',');
}

/** Merges the paths that differ only in the number at the end of the segment at one position. */
function mergeAt(paths: readonly (readonly string[])[], position: number): string[][] {
  const groups = new Map<string, { segments: readonly string[]; stem: string | null; indices: Set<number> }>();
  for (const segments of paths) {
    const numbered = NUMBERED.exec(segments[position] ?? '');
    // A name such as `v2.5` has been cut at its dot, and `x01` is not the number 1: what is left as it is has a key of its own.
    const stem = numbered && !/[\d.,]$/.test(numbered[1]!) ? numbered[1]! : null;
    const key = JSON.stringify(segments.map((one, index) => (index === position && stem !== null ? [stem] : one)));
    const group = groups.get(key) ?? { segments, stem, indices: new Set<number>() };
    if (stem !== null) group.indices.add(Number(numbered![2]));
    groups.set(key, group);
  }
  return [...groups.values()].map(({ segments, stem, indices }) => {
    const merged = [...segments];
    if (stem !== null) merged[position] = `${stem}${runs([...indices].sort((a, b) => a - b))}`;
    return merged;
  });
}

/** Patterns that together name exactly these paths, in the order of first appearance. */
export function compressPaths(paths: readonly string[]): string[] {
  let current: string[][] = [...new Set(paths)].map((path) => path.split('.'));
  const longest = Math.max(0, ...current.map((segments) => segments.length));
  // From the right, so that `layers.0.heads.0..7` forms before `layers.0..11` joins it.
  for (let position = longest - 1; position >= 0; position--) current = mergeAt(current, position);
  return current.map((segments) => segments.join('.'));
}

/** Layer paths for a message: printable, compressed, at most `most` patterns. The root itself has the empty path. */
export function layersText(paths: readonly string[], most = 3): string {
  return listText(compressPaths(paths.map((path) => (path === '' ? '(root)' : plain(path)))), most);
}
