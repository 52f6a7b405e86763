import assert from 'node:assert/strict';
import test from 'node:test';
import type { ModuleTree } from '../../../server/python';
import { TreeBuilder } from '../../../server/analysis/attempt';

test('while many slow trees are built, other work gets its turn', async () => {
  let built = 0;
  const tree = { root: {}, unknowns: [], assumptions: [], files: [] } as unknown as ModuleTree;
  const builder = new TreeBuilder({ rootCandidates: () => [], buildTree: () => { const until = performance.now() + 25; while (performance.now() < until); built += 1; return tree; } }, '/m.py');
  const seen: number[] = [];
  const other = setInterval(() => seen.push(built), 1);
  for (let index = 0; index < 20; index += 1) await builder.build(`Net${index}`, null);
  clearInterval(other);
  assert.equal(built, 20);
  assert.ok(seen.length >= 3 && seen.some((count) => count > 0 && count < 20), `asked ${seen.length} times: ${seen.join(' ')}`);
});
