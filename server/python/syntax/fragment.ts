/** Expressions that stand in strings: annotations in quotes, `eval('nn.ReLU')`, block descriptions in YAML-like lists. */
import type { Expr, Located } from './ast';
import { lowerExpression } from './lower-expressions';
import { parse } from './parser';

const MAX_LENGTH = 2000;

/** The expression a text holds, located where `at` is; null when it is not one whole expression. */
export function parseExpression(source: string, at: Located): Expr | null {
  const text = source.trim();
  if (text === '' || text.length > MAX_LENGTH) return null;
  const tree = parse(text);
  try {
    const [statement] = tree.rootNode.namedChildren;
    const inner = statement?.namedChildren[0];
    if (tree.rootNode.hasError || tree.rootNode.namedChildCount !== 1 || statement?.type !== 'expression_statement' || !inner || inner.type === 'assignment') return null;
    const anchor = { file: at.anchor.file, line: at.anchor.line + at.sl };
    return lowerExpression(statement, { anchor, baseLine: 0, text, body: () => ({ statements: () => [], isGenerator: false }) });
  } finally { tree.delete(); }
}
