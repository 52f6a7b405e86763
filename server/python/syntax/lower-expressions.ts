/** tree-sitter nodes of expressions to {@link Expr}. ERROR and MISSING nodes become `error`, which evaluates to unknown. */
import type { Node } from 'web-tree-sitter';
import type { Anchor, Argument, Body, ComprehensionClause, Expr, FormatPart, Located, Parameter } from './ast';
import { decodeEscapes } from './strings';

/** What lowering needs to know about where it is. */
export interface Lowering {
  readonly anchor: Anchor;
  /** Line of the chunk in the tree that is being read. */
  readonly baseLine: number;
  readonly text: string;
  /** Makes the body of a function lazily. */
  body(node: Node): Body;
}

export function locate(node: Node, at: Lowering): Located {
  const start = node.startPosition;
  const end = node.endPosition;
  return { anchor: at.anchor, sl: start.row - at.baseLine, sc: start.column, el: end.row - at.baseLine, ec: end.column };
}
export const textOf = (node: Node, at: Lowering): string => at.text.slice(node.startIndex, node.endIndex);

/** Named children that are not comments. */
export function parts(node: Node): Node[] {
  const result: Node[] = [];
  for (const child of node.namedChildren) if (child.type !== 'comment' && child.type !== 'line_continuation') result.push(child);
  return result;
}

export function lowerOptional(node: Node | null, at: Lowering): Expr | null { return node ? lowerExpression(node, at) : null; }

export function lowerExpression(node: Node, at: Lowering): Expr {
  const where = locate(node, at);
  if (node.isMissing) return { ...where, kind: 'error' };
  switch (node.type) {
    case 'identifier': case 'keyword_identifier': case 'dotted_name': {
      const text = textOf(node, at);
      if (node.type === 'dotted_name' && text.includes('.')) {
        return text.split('.').slice(1).reduce<Expr>((object, name) => ({ ...where, kind: 'attribute', object, name: name.trim() }), { ...where, kind: 'name', name: text.split('.')[0]!.trim() });
      }
      return { ...where, kind: 'name', name: text };
    }
    case 'integer': return { ...where, ...numberLiteral(textOf(node, at)) };
    case 'float': return { ...where, ...numberLiteral(textOf(node, at)) };
    case 'true': return { ...where, kind: 'constant', value: true };
    case 'false': return { ...where, kind: 'constant', value: false };
    case 'none': return { ...where, kind: 'constant', value: null };
    case 'ellipsis': return { ...where, kind: 'ellipsis' };
    case 'string': return lowerString(node, at, where);
    case 'concatenated_string': return concatenated(parts(node).map((part) => lowerExpression(part, at)), where);
    case 'parenthesized_expression': case 'type': case 'as_pattern_target': case 'case_pattern': {
      const inner = parts(node);
      return inner.length === 1 ? lowerExpression(inner[0]!, at) : { ...where, kind: 'error' };
    }
    case 'expression_statement': {
      const inner = parts(node);
      return inner.length === 1 ? lowerExpression(inner[0]!, at) : { ...where, kind: 'tuple', items: inner.map((part) => lowerExpression(part, at)) };
    }
    case 'tuple': case 'expression_list': case 'pattern_list': case 'tuple_pattern':
      return { ...where, kind: 'tuple', items: parts(node).map((part) => lowerExpression(part, at)) };
    case 'list': case 'list_pattern': return { ...where, kind: 'list', items: parts(node).map((part) => lowerExpression(part, at)) };
    case 'set': return { ...where, kind: 'set', items: parts(node).map((part) => lowerExpression(part, at)) };
    case 'dictionary': return { ...where, kind: 'dict', entries: parts(node).flatMap((part): { key: Expr | null; value: Expr }[] => {
      if (part.type === 'pair') {
        const key = part.childForFieldName('key');
        const value = part.childForFieldName('value');
        return key && value ? [{ key: lowerExpression(key, at), value: lowerExpression(value, at) }] : [];
      }
      const inner = part.type === 'dictionary_splat' ? parts(part)[0] : undefined;
      return inner ? [{ key: null, value: lowerExpression(inner, at) }] : [];
    }) };
    case 'list_splat': case 'list_splat_pattern': case 'splat_pattern': {
      const inner = parts(node)[0];
      return inner ? { ...where, kind: 'star', value: lowerExpression(inner, at) } : { ...where, kind: 'error' };
    }
    case 'attribute': {
      const object = node.childForFieldName('object');
      const name = node.childForFieldName('attribute');
      if (!object || !name || name.isMissing) return { ...where, kind: 'error' };
      return outsideStar(lowerExpression(object, at), (inner) => ({ ...where, kind: 'attribute', object: inner, name: textOf(name, at) }));
    }
    case 'subscript': {
      const [object, ...index] = parts(node);
      if (!object || index.length === 0) return { ...where, kind: 'error' };
      const items = index.map((part) => lowerExpression(part, at));
      return outsideStar(lowerExpression(object, at), (inner) => ({ ...where, kind: 'subscript', object: inner, index: items.length === 1 ? items[0]! : { ...where, kind: 'tuple', items } }));
    }
    case 'slice': return lowerSlice(node, at, where);
    case 'call': return lowerCall(node, at, where);
    case 'unary_operator': case 'not_operator': {
      const operand = node.childForFieldName('argument');
      const operator = node.type === 'not_operator' ? 'not' : node.childForFieldName('operator')?.type ?? '';
      return operand ? { ...where, kind: 'unary', operator, operand: lowerExpression(operand, at) } : { ...where, kind: 'error' };
    }
    case 'binary_operator': case 'boolean_operator': {
      const left = node.childForFieldName('left');
      const right = node.childForFieldName('right');
      const operator = node.childForFieldName('operator')?.type ?? '';
      if (!left || !right) return { ...where, kind: 'error' };
      const sides = { left: lowerExpression(left, at), right: lowerExpression(right, at) };
      return operator === 'and' || operator === 'or' ? { ...where, kind: 'logical', operator, ...sides } : { ...where, kind: 'binary', operator, ...sides };
    }
    case 'comparison_operator': {
      const values: Expr[] = [];
      const operators: string[] = [];
      for (const child of node.children) {
        if (child.type === 'comment') continue;
        if (child.isNamed) values.push(lowerExpression(child, at));
        else operators.push(child.type);
      }
      if (values.length !== operators.length + 1) return { ...where, kind: 'error' };
      return { ...where, kind: 'compare', first: values[0]!, rest: operators.map((operator, i) => ({ operator, value: values[i + 1]! })) };
    }
    case 'conditional_expression': {
      const [then, test, otherwise] = parts(node);
      if (!then || !test || !otherwise) return { ...where, kind: 'error' };
      return { ...where, kind: 'conditional', test: lowerExpression(test, at), then: lowerExpression(then, at), otherwise: lowerExpression(otherwise, at) };
    }
    case 'named_expression': {
      const name = node.childForFieldName('name');
      const value = node.childForFieldName('value');
      return name && value ? { ...where, kind: 'walrus', name: textOf(name, at), value: lowerExpression(value, at) } : { ...where, kind: 'error' };
    }
    case 'lambda': {
      const body = node.childForFieldName('body');
      if (!body) return { ...where, kind: 'error' };
      const value = lowerExpression(body, at);
      return { ...where, kind: 'lambda', definition: { ...where, name: '<lambda>', parameters: lowerParameters(node.childForFieldName('parameters'), at), decorators: [],
        body: { statements: () => [{ ...value, kind: 'return', value }], isGenerator: false } } };
    }
    case 'list_comprehension': case 'set_comprehension': case 'dictionary_comprehension': case 'generator_expression':
      return lowerComprehension(node, at, where);
    case 'await': { const inner = parts(node)[0]; return inner ? lowerExpression(inner, at) : { ...where, kind: 'error' }; }
    case 'yield': {
      const inner = parts(node)[0];
      return { ...where, kind: 'yield', value: lowerOptional(inner ?? null, at), from: node.children.some((child) => child.type === 'from') };
    }
    case 'as_pattern': { const inner = parts(node)[0]; return inner ? lowerExpression(inner, at) : { ...where, kind: 'error' }; }
    case 'generic_type': case 'union_type': case 'member_type': case 'constrained_type': case 'splat_type':
      return lowerType(node, at, where);
    default: return { ...where, kind: 'error' };
  }
}

/** The grammar reads `b, n, h = *x.shape, heads` as `(*x).shape`: the star is for all that follows it. */
const outsideStar = (object: Expr, make: (inner: Expr) => Expr): Expr => (object.kind === 'star' ? { ...object, value: make(object.value) } : make(object));

/** `Optional[Config]` in an annotation is its own kind of node; keep what a subscript would be. */
function lowerType(node: Node, at: Lowering, where: Located): Expr {
  const [head, ...rest] = parts(node);
  if (!head || node.type !== 'generic_type') return { ...where, kind: 'error' };
  const items = rest.flatMap((part) => (part.type === 'type_parameter' ? parts(part) : [part])).map((part) => lowerExpression(part, at));
  return { ...where, kind: 'subscript', object: lowerExpression(head, at), index: items.length === 1 ? items[0]! : { ...where, kind: 'tuple', items } };
}

function numberLiteral(source: string): { kind: 'int' | 'float'; value: number } | { kind: 'error' } {
  const text = source.replaceAll('_', '').toLowerCase();
  if (/^0[xob]/.test(text)) return { kind: 'int', value: Number(text) };
  if (/j$/.test(text)) return { kind: 'error' };
  const value = Number(text.replace(/l$/, ''));
  if (Number.isNaN(value)) return { kind: 'error' };
  return { kind: /[.e]/.test(text) ? 'float' : 'int', value };
}

function lowerSlice(node: Node, at: Lowering, where: Located): Expr {
  const bounds: (Expr | null)[] = [null, null, null];
  let position = 0;
  for (const child of node.children) {
    if (child.type === ':') position += 1;
    else if (child.isNamed && child.type !== 'comment' && position < 3) bounds[position] = lowerExpression(child, at);
  }
  return { ...where, kind: 'slice', start: bounds[0]!, stop: bounds[1]!, step: bounds[2]! };
}

function lowerCall(node: Node, at: Lowering, where: Located): Expr {
  const callee = node.childForFieldName('function');
  const list = node.childForFieldName('arguments');
  if (!callee) return { ...where, kind: 'error' };
  const args = !list ? [] : list.type === 'generator_expression' ? [{ value: lowerExpression(list, at) }] : lowerArguments(list, at);
  return { ...where, kind: 'call', callee: lowerExpression(callee, at), args };
}

export function lowerArguments(list: Node, at: Lowering): Argument[] {
  const result: Argument[] = [];
  for (const part of parts(list)) {
    if (part.type === 'ERROR') continue;
    if (part.type === 'keyword_argument') {
      const name = part.childForFieldName('name');
      const value = part.childForFieldName('value');
      if (name && value) result.push({ name: textOf(name, at), value: lowerExpression(value, at) });
    } else if (part.type === 'list_splat' || part.type === 'dictionary_splat') {
      const inner = parts(part)[0];
      if (inner) result.push({ star: part.type === 'list_splat' ? 1 : 2, value: lowerExpression(inner, at) });
    } else result.push({ value: lowerExpression(part, at) });
  }
  return result;
}

function lowerComprehension(node: Node, at: Lowering, where: Located): Expr {
  const clauses: { target: Expr; iter: Expr; conditions: Expr[] }[] = [];
  const body = node.childForFieldName('body');
  for (const part of parts(node)) {
    if (part.type === 'for_in_clause') {
      const target = part.childForFieldName('left');
      const iters = part.childrenForFieldName('right').filter((child): child is Node => child !== null && child.isNamed);
      if (!target || iters.length === 0) return { ...where, kind: 'error' };
      const iter: Expr = iters.length === 1 ? lowerExpression(iters[0]!, at) : { ...where, kind: 'tuple', items: iters.map((item) => lowerExpression(item, at)) };
      clauses.push({ target: lowerExpression(target, at), iter, conditions: [] });
    } else if (part.type === 'if_clause') {
      const condition = parts(part)[0];
      if (condition) clauses.at(-1)?.conditions.push(lowerExpression(condition, at));
    }
  }
  if (!body || clauses.length === 0) return { ...where, kind: 'error' };
  const finished: readonly ComprehensionClause[] = clauses;
  if (node.type === 'dictionary_comprehension') {
    const key = body.childForFieldName('key');
    const value = body.childForFieldName('value');
    if (!key || !value) return { ...where, kind: 'error' };
    return { ...where, kind: 'comprehension', of: 'dict', element: lowerExpression(key, at), value: lowerExpression(value, at), clauses: finished };
  }
  const of = node.type === 'list_comprehension' ? 'list' : node.type === 'set_comprehension' ? 'set' : 'generator';
  return { ...where, kind: 'comprehension', of, element: lowerExpression(body, at), value: null, clauses: finished };
}

export function lowerParameters(node: Node | null, at: Lowering): Parameter[] {
  if (!node) return [];
  const result: Parameter[] = [];
  let kind: Parameter['kind'] = 'normal';
  for (const part of parts(node)) {
    const type = lowerOptional(part.childForFieldName('type'), at);
    let target: Node | null = part;
    let fallback: Expr | null = null;
    if (part.type === 'keyword_separator') { kind = 'keyword'; continue; }
    if (part.type === 'positional_separator') {
      for (let i = 0; i < result.length; i++) if (result[i]!.kind === 'normal') result[i] = { ...result[i]!, kind: 'positional' };
      continue;
    }
    if (part.type === 'default_parameter' || part.type === 'typed_default_parameter') {
      target = part.childForFieldName('name');
      fallback = lowerOptional(part.childForFieldName('value'), at);
    } else if (part.type === 'typed_parameter') target = parts(part)[0] ?? null;
    if (!target) continue;
    if (target.type === 'list_splat_pattern' || target.type === 'dictionary_splat_pattern') {
      const name = parts(target)[0];
      const many = target.type === 'list_splat_pattern';
      if (name) result.push({ name: textOf(name, at), kind: many ? 'varargs' : 'kwargs', default: null, annotation: type, where: locate(name, at) });
      if (many) kind = 'keyword';
    } else if (target.type === 'identifier') result.push({ name: textOf(target, at), kind, default: fallback, annotation: type, where: locate(target, at) });
  }
  return result;
}

function lowerString(node: Node, at: Lowering, where: Located): Expr {
  const children = node.children;
  const start = children[0];
  const prefix = start ? textOf(start, at).replace(/['"]+$/, '').toLowerCase() : '';
  const raw = prefix.includes('r');
  if (prefix.includes('f')) return { ...where, kind: 'fstring', parts: formatParts(children, at, raw) };
  const source = children.filter((child) => child.type === 'string_content').map((child) => textOf(child, at)).join('');
  return { ...where, kind: 'str', value: raw ? source : decodeEscapes(source) };
}

function formatParts(children: readonly Node[], at: Lowering, raw: boolean): (string | FormatPart)[] {
  const result: (string | FormatPart)[] = [];
  for (const child of children) {
    if (child.type === 'string_content') {
      const source = textOf(child, at).replaceAll('{{', '{').replaceAll('}}', '}');
      result.push(raw ? source : decodeEscapes(source));
    } else if (child.type === 'interpolation') {
      const inner = child.childForFieldName('expression') ?? parts(child)[0];
      if (!inner) continue;
      const conversion = child.childForFieldName('type_conversion');
      const spec = child.childForFieldName('format_specifier');
      const debug = child.children.some((part) => part.type === '=') ? `${textOf(inner, at)}=` : '';
      result.push({ value: lowerExpression(inner, at), conversion: conversion ? textOf(conversion, at).slice(1) : '', debug,
        spec: spec ? specParts(spec, at) : null });
    }
  }
  return result;
}

/** `:0{width}d`: literal text with nested expressions. */
function specParts(spec: Node, at: Lowering): (string | FormatPart)[] {
  const result: (string | FormatPart)[] = [];
  let from = spec.startIndex + 1;
  for (const part of spec.namedChildren) {
    if (part.startIndex > from) result.push(at.text.slice(from, part.startIndex));
    const inner = part.childForFieldName('expression') ?? parts(part)[0];
    if (inner) result.push({ value: lowerExpression(inner, at), conversion: '', spec: null, debug: '' });
    from = part.endIndex;
  }
  if (spec.endIndex > from) result.push(at.text.slice(from, spec.endIndex));
  return result;
}

function concatenated(items: readonly Expr[], where: Located): Expr {
  if (items.every((item) => item.kind === 'str')) return { ...where, kind: 'str', value: items.map((item) => item.value).join('') };
  const merged = items.flatMap((item): (string | FormatPart)[] => (item.kind === 'str' ? [item.value] : item.kind === 'fstring' ? [...item.parts] : []));
  return { ...where, kind: 'fstring', parts: merged };
}
