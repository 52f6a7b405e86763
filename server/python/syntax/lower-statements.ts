/** tree-sitter nodes of statements to {@link Stmt}. What does not parse is left out; statements inside ERROR nodes are kept. */
import type { Node } from 'web-tree-sitter';
import type { Argument, Definition, Expr, Handler, Located, Pattern, Stmt } from './ast';
import { locate, lowerArguments, lowerExpression, lowerOptional, lowerParameters, parts, textOf, type Lowering } from './lower-expressions';

/** Statements of a block or module. */
export function lowerBlock(node: Node | null, at: Lowering): Stmt[] {
  return node ? parts(node).flatMap((child) => lowerStatement(child, at)) : [];
}

/** One statement; none when it does not parse, several for what is salvaged from an ERROR node. */
export function lowerStatement(node: Node, at: Lowering): Stmt[] {
  const where = locate(node, at);
  switch (node.type) {
    case 'expression_statement': return lowerExpressionStatement(node, at, where);
    case 'if_statement': {
      const test = node.childForFieldName('condition');
      if (!test) return [];
      const alternatives = parts(node).filter((part) => part.type === 'elif_clause' || part.type === 'else_clause');
      return [{ ...where, kind: 'if', test: lowerExpression(test, at), then: lowerBlock(node.childForFieldName('consequence'), at), otherwise: lowerAlternatives(alternatives, at) }];
    }
    case 'for_statement': {
      const target = node.childForFieldName('left');
      const iter = node.childForFieldName('right');
      if (!target || !iter) return [];
      return [{ ...where, kind: 'for', target: lowerExpression(target, at), iter: lowerExpression(iter, at), ...loopBody(node, at) }];
    }
    case 'while_statement': {
      const test = node.childForFieldName('condition');
      return test ? [{ ...where, kind: 'while', test: lowerExpression(test, at), ...loopBody(node, at) }] : [];
    }
    case 'try_statement': return [lowerTry(node, at, where)];
    case 'with_statement': {
      const items = parts(node).filter((part) => part.type === 'with_clause').flatMap(parts).flatMap((item) => {
        const value = item.childForFieldName('value') ?? parts(item)[0];
        if (!value) return [];
        if (value.type !== 'as_pattern') return [{ value: lowerExpression(value, at), target: null }];
        const alias = value.childForFieldName('alias');
        return [{ value: lowerExpression(value, at), target: lowerOptional(alias, at) }];
      });
      return [{ ...where, kind: 'with', items, body: lowerBlock(node.childForFieldName('body'), at) }];
    }
    case 'function_definition': return lowerFunction(node, at, []);
    case 'class_definition': return lowerClass(node, at, []);
    case 'decorated_definition': {
      const decorators = parts(node).filter((part) => part.type === 'decorator').flatMap((part) => { const inner = parts(part)[0]; return inner ? [lowerExpression(inner, at)] : []; });
      const definition = node.childForFieldName('definition');
      if (!definition) return [];
      return definition.type === 'class_definition' ? lowerClass(definition, at, decorators) : lowerFunction(definition, at, decorators);
    }
    case 'return_statement': return [{ ...where, kind: 'return', value: lowerOptional(parts(node)[0] ?? null, at) }];
    case 'raise_statement': return [{ ...where, kind: 'raise', value: lowerOptional(parts(node)[0] ?? null, at) }];
    case 'assert_statement': { const test = parts(node)[0]; return test ? [{ ...where, kind: 'assert', test: lowerExpression(test, at) }] : []; }
    case 'import_statement': return [{ ...where, kind: 'import', names: importNames(node, at).map(({ name, alias }) => ({ module: name, alias })) }];
    case 'import_from_statement': return lowerFrom(node, at, where);
    case 'delete_statement': {
      const targets = parts(node).map((part) => lowerExpression(part, at)).flatMap((target) => (target.kind === 'tuple' ? target.items : [target]));
      return [{ ...where, kind: 'delete', targets }];
    }
    case 'global_statement': case 'nonlocal_statement':
      return [{ ...where, kind: 'scope', scope: node.type === 'global_statement' ? 'global' : 'nonlocal', names: parts(node).map((part) => textOf(part, at)) }];
    case 'match_statement': return lowerMatch(node, at, where);
    case 'break_statement': return [{ ...where, kind: 'break' }];
    case 'continue_statement': return [{ ...where, kind: 'continue' }];
    case 'ERROR': case 'block': return lowerBlock(node, at);
    default: return [];
  }
}

const loopBody = (node: Node, at: Lowering): { body: Stmt[]; otherwise: Stmt[] } => ({
  body: lowerBlock(node.childForFieldName('body'), at),
  otherwise: lowerBlock(node.childForFieldName('alternative')?.childForFieldName('body') ?? null, at),
});

function lowerAlternatives(clauses: readonly Node[], at: Lowering): Stmt[] {
  const [first, ...rest] = clauses;
  if (!first) return [];
  if (first.type === 'else_clause') return lowerBlock(first.childForFieldName('body'), at);
  const test = first.childForFieldName('condition');
  if (!test) return lowerAlternatives(rest, at);
  return [{ ...locate(first, at), kind: 'if', test: lowerExpression(test, at), then: lowerBlock(first.childForFieldName('consequence'), at), otherwise: lowerAlternatives(rest, at) }];
}

function lowerExpressionStatement(node: Node, at: Lowering, where: Located): Stmt[] {
  const inner = parts(node);
  const only = inner.length === 1 ? inner[0]! : null;
  if (only?.type === 'assignment') return lowerAssignment(only, at, where);
  if (only?.type === 'augmented_assignment') {
    const target = only.childForFieldName('left');
    const value = only.childForFieldName('right');
    const operator = only.childForFieldName('operator')?.type.slice(0, -1) ?? '';
    return target && value ? [{ ...where, kind: 'augmented', target: lowerExpression(target, at), operator, value: lowerExpression(value, at) }] : [];
  }
  return [{ ...where, kind: 'expression', value: lowerExpression(node, at) }];
}

function lowerAssignment(node: Node, at: Lowering, where: Located): Stmt[] {
  const annotation = node.childForFieldName('type');
  const first = node.childForFieldName('left');
  if (!first) return [];
  let value = node.childForFieldName('right');
  if (annotation) return [{ ...where, kind: 'annotated', target: lowerExpression(first, at), annotation: lowerExpression(annotation, at), value: lowerOptional(value, at) }];
  let targets: Expr[] = [lowerExpression(first, at)];
  const unfinished: Stmt[] = [];
  while (value?.type === 'assignment') {
    const left = value.childForFieldName('left');
    const next = left && afterLineBreak(left, at);
    if (next) {
      unfinished.push({ ...where, kind: 'assign', targets, value: { ...where, kind: 'error' } });
      targets = [next];
    } else if (left) targets.push(lowerExpression(left, at));
    value = value.childForFieldName('right');
  }
  if (!value) return unfinished;
  return [...unfinished, { ...where, kind: 'assign', targets, value: lowerExpression(value, at) }];
}

/**
 * While `self.b = nn.` is being typed, the grammar runs on into the next line: `self.b = nn.self.c = …`. The target that
 * was meant on the next line, or null when the dotted name does not cross a line end (a backslash may cross it).
 */
function afterLineBreak(target: Node, at: Lowering): Expr | null {
  const names: Node[] = [];
  for (let node: Node | null = target; node?.type === 'attribute'; node = node.childForFieldName('object')) {
    const object = node.childForFieldName('object');
    const name = node.childForFieldName('attribute');
    if (!object || !name) return null;
    names.unshift(name);
    if (object.endPosition.row === name.startPosition.row) continue;
    if (textOf(node, at).slice(object.endIndex - node.startIndex, name.startIndex - node.startIndex).includes('\\')) return null;
    const [head, ...rest] = names;
    return rest.reduce<Expr>((made, part) => ({ ...locate(part, at), kind: 'attribute', object: made, name: textOf(part, at) }),
      { ...locate(head!, at), kind: 'name', name: textOf(head!, at) });
  }
  return null;
}

function lowerTry(node: Node, at: Lowering, where: Located): Stmt {
  const handlers: Handler[] = [];
  let otherwise: Stmt[] = [];
  let final: Stmt[] = [];
  for (const part of parts(node)) {
    if (part.type === 'except_clause' || part.type === 'except_group_clause') {
      const inner = parts(part);
      const block = inner.find((child) => child.type === 'block') ?? null;
      let type = inner.find((child) => child.type !== 'block') ?? null;
      let name: string | null = null;
      if (type?.type === 'as_pattern') {
        const alias = type.childForFieldName('alias');
        name = alias ? textOf(alias, at) : null;
        type = parts(type)[0] ?? null;
      }
      handlers.push({ types: type ? (textOf(type, at).match(/[\w.]+/g) ?? []) : [], name, body: lowerBlock(block, at) });
    } else if (part.type === 'else_clause') otherwise = lowerBlock(part.childForFieldName('body'), at);
    else if (part.type === 'finally_clause') final = lowerBlock(parts(part).find((child) => child.type === 'block') ?? null, at);
  }
  return { ...where, kind: 'try', body: lowerBlock(node.childForFieldName('body'), at), handlers, otherwise, final };
}

function lowerFunction(node: Node, at: Lowering, decorators: readonly Expr[]): Stmt[] {
  const name = node.childForFieldName('name');
  if (!name) return [];
  const where = locate(node, at);
  const definition: Definition = { ...where, name: textOf(name, at), parameters: lowerParameters(node.childForFieldName('parameters'), at), decorators, body: at.body(node) };
  return [{ ...where, kind: 'function', definition }];
}

function lowerClass(node: Node, at: Lowering, decorators: readonly Expr[]): Stmt[] {
  const name = node.childForFieldName('name');
  if (!name) return [];
  const superclasses = node.childForFieldName('superclasses');
  const bases: Argument[] = superclasses ? lowerArguments(superclasses, at) : [];
  return [{ ...locate(node, at), kind: 'class', name: textOf(name, at), bases, decorators, body: lowerBlock(node.childForFieldName('body'), at) }];
}

function importNames(node: Node, at: Lowering): { name: string; alias: string | null }[] {
  return node.childrenForFieldName('name').flatMap((child) => {
    if (!child) return [];
    if (child.type !== 'aliased_import') return [{ name: dotted(child, at), alias: null }];
    const name = child.childForFieldName('name');
    const alias = child.childForFieldName('alias');
    return name ? [{ name: dotted(name, at), alias: alias ? textOf(alias, at) : null }] : [];
  });
}

const dotted = (node: Node, at: Lowering): string => textOf(node, at).replaceAll(/\s/g, '');

function lowerFrom(node: Node, at: Lowering, where: Located): Stmt[] {
  const source = node.childForFieldName('module_name');
  if (!source) return [];
  const text = dotted(source, at);
  const level = /^\.*/.exec(text)![0].length;
  const wildcard = parts(node).some((part) => part.type === 'wildcard_import');
  return [{ ...where, kind: 'from', level, module: text.slice(level), names: wildcard ? '*' : importNames(node, at) }];
}

function lowerMatch(node: Node, at: Lowering, where: Located): Stmt[] {
  const subject = node.childForFieldName('subject');
  const body = node.childForFieldName('body') ?? node;
  if (!subject) return [];
  const cases = parts(body).filter((part) => part.type === 'case_clause').map((clause) => {
    const patterns = parts(clause).filter((part) => part.type === 'case_pattern').map((part) => lowerPattern(part, at));
    const guard = clause.childForFieldName('guard');
    return {
      pattern: patterns.length === 1 ? patterns[0]! : { kind: 'sequence' as const, items: patterns, star: -1 },
      guard: guard ? lowerOptional(parts(guard)[0] ?? null, at) : null,
      body: lowerBlock(clause.childForFieldName('consequence'), at),
    };
  });
  return [{ ...where, kind: 'match', subject: lowerExpression(subject, at), cases }];
}

function lowerPattern(node: Node, at: Lowering): Pattern {
  const inner = parts(node);
  switch (node.type) {
    case 'case_pattern':
      if (inner.length === 0) return textOf(node, at).trim() === '_' ? { kind: 'any', name: null } : { kind: 'unknown' };
      if (textOf(node, at).trim().startsWith('-')) return { kind: 'value', value: { ...locate(node, at), kind: 'unary', operator: '-', operand: lowerExpression(inner[0]!, at) } };
      return lowerPattern(inner[0]!, at);
    case 'dotted_name': {
      const text = textOf(node, at);
      return text.includes('.') ? { kind: 'value', value: lowerExpression(node, at) } : { kind: 'any', name: text === '_' ? null : text };
    }
    case 'union_pattern': return { kind: 'or', options: inner.map((part) => lowerPattern(part, at)) };
    case 'list_pattern': case 'tuple_pattern': {
      const star = inner.findIndex((part) => part.type === 'splat_pattern' || (part.type === 'case_pattern' && parts(part)[0]?.type === 'splat_pattern'));
      return { kind: 'sequence', star, items: inner.map((part) => lowerPattern(part, at)) };
    }
    case 'splat_pattern': return inner[0] ? { kind: 'any', name: textOf(inner[0], at) } : { kind: 'any', name: null };
    case 'class_pattern': {
      const [type, ...rest] = inner;
      if (!type) return { kind: 'unknown' };
      const keywords = rest.map((part) => (part.type === 'case_pattern' ? parts(part)[0] : part)).filter((part): part is Node => part?.type === 'keyword_pattern');
      return { kind: 'class', type: lowerExpression(type, at), positional: rest.length - keywords.length,
        keywords: keywords.map((part) => ({ name: textOf(parts(part)[0]!, at), pattern: lowerPattern(parts(part)[1] ?? part, at) })) };
    }
    case 'dict_pattern': {
      const keys = node.childrenForFieldName('key');
      const values = node.childrenForFieldName('value');
      return { kind: 'mapping', entries: keys.flatMap((key, i) => (key && values[i] ? [{ key: lowerExpression(key, at), pattern: lowerPattern(values[i], at) }] : [])) };
    }
    case 'as_pattern': {
      const [pattern, name] = inner;
      return pattern && name ? { kind: 'as', pattern: lowerPattern(pattern, at), name: textOf(name, at) } : { kind: 'unknown' };
    }
    case 'identifier': return { kind: 'any', name: textOf(node, at) };
    case 'keyword_pattern': case 'complex_pattern': return { kind: 'unknown' };
    default: return { kind: 'value', value: lowerExpression(node, at) };
  }
}
