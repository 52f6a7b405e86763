import path from 'node:path';
import { PythonWorkspace } from '../../../server/python';
import type { ModuleNode, ModuleTree } from '../../../server/python';

export const ROOT = path.resolve('/project');

/** A workspace of files given as text; the first is called model.py unless named. */
export function workspace(files: Readonly<Record<string, string>> | string): PythonWorkspace {
  const texts = new Map(Object.entries(typeof files === 'string' ? { 'model.py': files } : files).map(([name, text]) => [path.join(ROOT, name), text]));
  return new PythonWorkspace({ readFile: (file) => texts.get(file) ?? null, roots: () => [ROOT] });
}
export const at = (name: string): string => path.join(ROOT, name);

export function treeOf(source: string, name = 'Net', args: Record<string, unknown> = {}): ModuleTree {
  const made = workspace(source);
  try { return made.buildTree(at('model.py'), name, args); } finally { made.dispose(); }
}

/** `name shape` of every parameter and buffer that state_dict lists; `?` behind what may be absent. */
export function rows(node: ModuleNode, optional = false): string[] {
  const maybe = optional || node.optional === true;
  return [
    ...node.parameters.filter((parameter) => parameter.persistent).map((parameter) =>
      `${node.path === '' ? '' : `${node.path}.`}${parameter.name} ${JSON.stringify(parameter.shape)}${maybe || parameter.optional ? ' ?' : ''}`),
    ...node.children.flatMap((child) => rows(child, maybe)),
  ];
}
export const names = (tree: ModuleTree): string[] => rows(tree.root).map((row) => row.split(' ')[0]!);

/**
 * Evaluates Python expressions by what shape they give a parameter: each line `name = expression` must be a whole number.
 * Anything else about Python can be asked through comparisons and len().
 */
export function evaluateAll(expressions: readonly string[], prelude = ''): (number | null)[] {
  const body = expressions.map((expression, i) => `        self.register_buffer('b${i}', torch.zeros(int(${expression}) + 1000))`).join('\n');
  const tree = treeOf(`import torch, math, itertools, functools, collections, copy\nimport torch.nn as nn\n${prelude}\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n${body}\n`);
  return expressions.map((_, i) => {
    const size = tree.root.parameters.find((parameter) => parameter.name === `b${i}`)?.shape?.[0];
    return typeof size === 'number' ? size - 1000 : null;
  });
}

export function find(node: ModuleNode, path_: string): ModuleNode | undefined {
  if (node.path === path_) return node;
  for (const child of node.children) { const hit = find(child, path_); if (hit) return hit; }
  return undefined;
}
