/**
 * Module trees of annotated Python snippets against real PyTorch: one test per case folder in module-trees/.
 * Names, order and shapes of fully known cases were written by PyTorch itself (module-trees/generate.py); cases with
 * `byHand` hold what a reader of the source can know and no more. A comment `# <- a.b a.c` at the end of a line says
 * that the modules a.b and a.c are constructed on that line.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { initParser, PythonWorkspace } from '../../server/python';
import type { Dimension, ModuleNode, ModuleTree, ParameterNode } from '../../server/python/module-tree';

interface Expected {
  readonly root: string;
  readonly file?: string;
  readonly args?: Record<string, unknown>;
  /** Part of the tree is unknown from source; parameters are written by hand. */
  readonly byHand?: boolean;
  /** [name, shape] in state_dict order; a null shape or dimension is unknown. */
  readonly parameters: readonly (readonly [string, readonly Dimension[] | null])[];
  /** Name to the earlier name of the same tensor. */
  readonly tied?: Readonly<Record<string, string>>;
  /** Names that the source cannot promise. */
  readonly optional?: readonly string[];
  /** Path of a module whose content is unknown to words that its reason must contain. */
  readonly unknownModules?: Readonly<Record<string, string>>;
  /** Words that some reason in the tree must contain. */
  readonly unknowns?: readonly string[];
}

const folder = path.join(process.env.BITLENS_ROOT!, 'test/corpus/module-trees');
const cases = readdirSync(folder).filter((name) => existsSync(path.join(folder, name, 'expected.json'))).sort();

interface Row { readonly name: string; readonly parameter: ParameterNode; readonly optional: boolean }

function rows(node: ModuleNode, optional = false): Row[] {
  const here = optional || node.optional === true;
  return [
    ...node.parameters.filter((parameter) => parameter.persistent).map((parameter) => ({
      name: node.path === '' ? parameter.name : `${node.path}.${parameter.name}`, parameter, optional: here || parameter.optional === true,
    })),
    ...node.children.flatMap((child) => rows(child, here)),
  ];
}

function* modules(node: ModuleNode): Generator<ModuleNode> {
  yield node;
  for (const child of node.children) yield* modules(child);
}

/** Sets of names that are one tensor: which of them is the first does not matter. */
function groups(pairs: Iterable<readonly [string, string]>): string[] {
  const parent = new Map<string, string>();
  const find = (name: string): string => { let at = name; while (parent.has(at)) at = parent.get(at)!; return at; };
  for (const [a, b] of pairs) { const [x, y] = [find(a), find(b)]; if (x !== y) parent.set(x, y); }
  const sets = new Map<string, Set<string>>();
  for (const name of parent.keys()) {
    const top = find(name);
    sets.set(top, (sets.get(top) ?? new Set([top])).add(name));
  }
  return [...sets.values()].map((set) => [...set].sort().join(' = ')).sort();
}

function* pythonFiles(directory: string): Generator<string> {
  for (const name of readdirSync(directory).sort()) {
    const full = path.join(directory, name);
    if (statSync(full).isDirectory()) yield* pythonFiles(full);
    else if (name.endsWith('.py')) yield full;
  }
}

/** `# <- path path` markers of all files of a case: [file, zero-based line, module path]. */
function markers(directory: string): [string, number, string][] {
  return [...pythonFiles(directory)].flatMap((file) => readFileSync(file, 'utf8').split('\n').flatMap((line, index) => {
    const found = /# <- ([\w.* ]+)$/.exec(line.trimEnd());
    return found ? found[1]!.trim().split(/\s+/).map((name): [string, number, string] => [file, index, name]) : [];
  }));
}

function reasons(tree: ModuleTree): string[] {
  return [...tree.unknowns.map((unknown) => unknown.reason), ...[...modules(tree.root)].flatMap((node) => (node.unknown ? [node.unknown.reason] : []))];
}

const says = (reason: string, words: string): boolean => reason.toLowerCase().includes(words.toLowerCase());

before(() => initParser());

for (const name of cases) {
  test(`module tree: ${name}`, () => {
    const directory = path.join(folder, name);
    const expected = JSON.parse(readFileSync(path.join(directory, 'expected.json'), 'utf8')) as Expected;
    const workspace = new PythonWorkspace({
      readFile: (file) => (file.startsWith(directory) && existsSync(file) && statSync(file).isFile() ? readFileSync(file, 'utf8') : null),
      roots: () => [directory],
    });
    const main = path.join(directory, expected.file ?? 'model.py');
    workspace.open(main, readFileSync(main, 'utf8'));
    const tree = workspace.buildTree(main, expected.root, expected.args);
    const found = rows(tree.root);
    const why = reasons(tree);
    const hint = why.length ? `unknown: ${why.slice(0, 5).join('; ')}` : 'nothing was unknown';

    assert.deepEqual(found.map((row) => row.name), expected.parameters.map(([parameter]) => parameter), `names in state_dict order (${hint})`);
    assert.deepEqual(found.map((row) => [row.name, row.parameter.shape]), expected.parameters, `shapes (${hint})`);
    assert.deepEqual(
      groups(found.flatMap((row) => (row.parameter.tiedTo === undefined ? [] : [[row.name, row.parameter.tiedTo] as const]))),
      groups(Object.entries(expected.tied ?? {})), 'tied tensors');
    // A `*` is any number of them, none included: whether it is also called optional says nothing more.
    assert.deepEqual(found.filter((row) => row.optional && !row.name.split('.').includes('*')).map((row) => row.name), [...(expected.optional ?? [])], 'tensors that may be absent');

    const byPath = new Map([...modules(tree.root)].map((node) => [node.path, node]));
    for (const [where, words] of Object.entries(expected.unknownModules ?? {})) {
      const reason = byPath.get(where)?.unknown?.reason;
      assert.ok(reason !== undefined, `module '${where}' should be unknown`);
      assert.ok(says(reason, words), `reason of '${where}' is "${reason}", which lacks "${words}"`);
    }
    for (const words of expected.unknowns ?? []) {
      assert.ok(why.some((reason) => says(reason, words)), `some reason should say "${words}"; there are: ${why.join('; ') || 'none'}`);
    }
    if (!expected.byHand) {
      assert.deepEqual([...byPath.values()].filter((node) => node.unknown).map((node) => `${node.path}: ${node.unknown!.reason}`), [], 'nothing is unknown here');
    }
    for (const [file, line, where] of markers(directory)) {
      const node = byPath.get(where);
      assert.ok(node, `marker for '${where}' at line ${line + 1}: no such module`);
      assert.deepEqual([node.span.file, node.span.startLine + 1], [file, line + 1], `place of '${where}'`);
    }
  });
}
