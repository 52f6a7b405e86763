/** Evaluating expressions. Nothing here throws for bad code: what cannot be evaluated is unknown, with the expression. */
import { type Argument, type Definition, type Expr, type FormatPart } from '../syntax/ast';
import {
  Choice, Opaque, PyDict, PyFloat, PyFunction, PyList, PySet, PySlice, PyTuple, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { builtinNames } from '../library/builtins';
import { getAttribute } from './attributes';
import { callExpression } from './calls';
import { formatValue } from './formatting';
import { getItem } from './items';
import { unpack, valuesOf, type Sequence } from './iteration';
import type { Machine } from './machine';
import { binary, compare, truth, unary } from './operators';
import { Environment } from './scope';

export function evaluate(machine: Machine, node: Expr, env: Environment): Value {
  const value = evaluateNode(machine, node, env);
  if (machine.tracer !== null && typeof value === 'object' && value !== null) machine.tracer.seen(node, value);
  return value;
}

function evaluateNode(machine: Machine, node: Expr, env: Environment): Value {
  machine.step();
  switch (node.kind) {
    case 'name': return lookupName(machine, node.name, env, node);
    case 'int': return node.value;
    case 'float': return new PyFloat(node.value);
    case 'str': case 'constant': return node.value;
    case 'fstring': return evaluateFormat(machine, node.parts, env, node);
    case 'ellipsis': return new Opaque('...');
    case 'tuple': { const { items, rest } = evaluateItems(machine, node.items, env); return rest === undefined ? new PyTuple(items) : new PyList(items, rest, machine.loopDepth); }
    case 'list': { const { items, rest } = evaluateItems(machine, node.items, env); return new PyList(items, rest, machine.loopDepth); }
    case 'set': { const made = new PySet(); const { items, rest } = evaluateItems(machine, node.items, env); items.forEach((item) => made.add(item)); made.open ||= rest !== undefined; return made; }
    case 'dict': return evaluateDict(machine, node, env);
    case 'attribute': {
      const object = evaluate(machine, node.object, env);
      machine.place = node;
      return getAttribute(machine, object, node.name, node);
    }
    case 'subscript': return getItem(machine, evaluate(machine, node.object, env), evaluate(machine, node.index, env), node);
    case 'slice': return new PySlice(node.start ? evaluate(machine, node.start, env) : null, node.stop ? evaluate(machine, node.stop, env) : null, node.step ? evaluate(machine, node.step, env) : null);
    case 'call': return callExpression(machine, node, env);
    case 'unary': return unary(machine, node.operator, evaluate(machine, node.operand, env), node);
    case 'binary': return binary(machine, node.operator, evaluate(machine, node.left, env), evaluate(machine, node.right, env), node);
    case 'logical': return evaluateLogical(machine, node, env);
    case 'compare': return evaluateCompare(machine, node, env);
    case 'conditional': {
      const test = evaluate(machine, node.test, env);
      const known = truth(machine, test);
      if (known !== undefined) return evaluate(machine, known ? node.then : node.otherwise, env);
      const why = machine.unknown(`${describe(node.test)} is not known${test instanceof UnknownValue ? `: ${test.reason}` : ''}`, node.test);
      return Choice.of(machine.fork([() => evaluate(machine, node.then, env), () => evaluate(machine, node.otherwise, env)], why), why);
    }
    case 'lambda': return makeFunction(machine, node.definition, env);
    case 'comprehension': return evaluateComprehension(machine, node, env);
    case 'star': return evaluate(machine, node.value, env);
    case 'walrus': {
      const value = evaluate(machine, node.value, env);
      machine.touch(env);
      env.variables.set(node.name, value);
      return value;
    }
    case 'yield': {
      const value = node.value ? evaluate(machine, node.value, env) : null;
      if (node.from) env.yields?.push(...valuesOf(machine, value, node).items);
      else env.yields?.push(value);
      return null;
    }
    case 'error': return machine.unknown('the source does not parse here', node);
  }
}

/** A name: local, enclosing, global, builtin. */
export function lookupName(machine: Machine, name: string, env: Environment, node?: Expr): Value {
  const holder = env.holder(name);
  if (holder) return holder.variables.get(name)!;
  const global = env.module.lookup(machine, name, env.index);
  if (global !== undefined) return global;
  const builtin = builtinNames.get(name);
  if (builtin !== undefined) return builtin;
  return machine.soft('NameError', `${name} is not defined`, node);
}

export function makeFunction(machine: Machine, definition: Definition, env: Environment): PyFunction {
  const defaults = new Map<string, Value>();
  for (const parameter of definition.parameters) if (parameter.default) defaults.set(parameter.name, evaluate(machine, parameter.default, env));
  return new PyFunction(definition, env, defaults, env.kind === 'class' ? env.cls : null);
}

/** Items of a display, with stars expanded. */
function evaluateItems(machine: Machine, nodes: readonly Expr[], env: Environment): { items: Value[]; rest: Value | undefined } {
  const items: Value[] = [];
  let rest: Value[] = [];
  for (const node of nodes) {
    if (node.kind !== 'star') {
      const value = evaluate(machine, node, env);
      if (rest.length) rest.push(value); else items.push(value);
      continue;
    }
    const sequence = valuesOf(machine, evaluate(machine, node.value, env), node.value);
    for (const item of sequence.items) { machine.step(); if (rest.length) rest.push(item); else items.push(item); }
    if (sequence.rest !== undefined) rest = [...rest, sequence.rest];
  }
  return { items, rest: rest.length ? Choice.of(rest, machine.unknown('position in a sequence of unknown length')) : undefined };
}

function evaluateDict(machine: Machine, node: Extract<Expr, { kind: 'dict' }>, env: Environment): Value {
  const made = machine.dict();
  for (const { key, value } of node.entries) {
    if (key) { const hashed = evaluate(machine, key, env); made.set(hashed, evaluate(machine, value, env)); continue; }
    const spread = evaluate(machine, value, env);
    if (spread instanceof PyDict) {
      for (const entry of spread.entries.values()) made.set(entry.key, entry.value);
      if (spread.rest !== undefined) made.rest = spread.rest;
    } else made.rest = machine.unknown(`${describe(value)} is not known`, value);
  }
  made.beganEmpty = node.entries.length === 0;
  return made;
}

function evaluateLogical(machine: Machine, node: Extract<Expr, { kind: 'logical' }>, env: Environment): Value {
  const left = evaluate(machine, node.left, env);
  const known = truth(machine, left);
  if (known !== undefined) return known === (node.operator === 'and') ? evaluate(machine, node.right, env) : left;
  const why = left instanceof UnknownValue ? left : machine.unknown(`${describe(node.left)} is not known`, node.left);
  const right = machine.fork([() => evaluate(machine, node.right, env), () => left], why)[0]!;
  // `unknown and False` is false whatever the left side is, `unknown or True` true: as a condition that is what counts.
  const decided = truth(machine, right);
  if (decided !== undefined && decided === (node.operator === 'or') && typeof right === 'boolean') return right;
  return left instanceof UnknownValue ? (node.operator === 'or' || typeof right === 'boolean' ? left : Choice.of([left, right], why)) : Choice.of([left, right], why);
}

function evaluateCompare(machine: Machine, node: Extract<Expr, { kind: 'compare' }>, env: Environment): Value {
  let left = evaluate(machine, node.first, env);
  let result: Value = true;
  for (const { operator, value } of node.rest) {
    const right = evaluate(machine, value, env);
    const held = compare(machine, operator, left, right, node);
    if (held === false) return false;
    if (held !== true) result = held;
    left = right;
  }
  return result;
}

function evaluateComprehension(machine: Machine, node: Extract<Expr, { kind: 'comprehension' }>, outer: Environment): Value {
  const env = new Environment(outer.module, outer, 'function', outer.index);
  // A comprehension in a class body sees the class's names in its first iterable only; seeing them everywhere does no harm.
  if (outer.kind === 'class') for (const [name, value] of outer.variables) env.variables.set(name, value);
  env.cls = outer.cls; env.self = outer.self;
  const items: Value[] = [];
  const keys: Value[] = [];
  const rest: Value[] = [];
  const emit = (open: boolean): void => {
    const element = evaluate(machine, node.element, env);
    if (node.of === 'dict') {
      const value = evaluate(machine, node.value!, env);
      if (open) rest.push(value); else { keys.push(element); items.push(value); }
    } else if (open || rest.length) rest.push(element); else items.push(element);
  };
  const run = (depth: number, open: boolean): void => {
    const clause = node.clauses[depth];
    if (!clause) { emit(open); return; }
    const sequence: Sequence = valuesOf(machine, evaluate(machine, clause.iter, depth === 0 ? outer : env), clause.iter);
    const round = (value: Value, unknownCount: boolean): void => {
      machine.step();
      bind(machine, clause.target, value, env);
      let sure = true;
      for (const condition of clause.conditions) {
        const held = truth(machine, evaluate(machine, condition, env));
        if (held === false) return;
        if (held === undefined) sure = false;
      }
      run(depth + 1, open || unknownCount || !sure);
    };
    const plain = node.of === 'list' && node.clauses.length === 1 && clause.conditions.length === 0;
    let index = 0;
    let repeated: Value | undefined;
    for (const value of sequence.items) {
      // Tables of positions and frequencies have hundreds of thousands of numbers, of which only the count matters here.
      if (index === MANY && plain && !machine.tracer && items.length === MANY && alike(items)) repeated = items[MANY - 1];
      index += 1;
      if (repeated === undefined) round(value, false);
      else { machine.step(); items.push(repeated); }
    }
    if (sequence.rest !== undefined) {
      machine.note(machine.unknown(`how often ${describe(clause.iter)} repeats is not known${sequence.why ? `: ${sequence.why.reason}` : ''}`, clause.iter));
      machine.loopDepth += 1;
      try { round(sequence.rest, true); } finally { machine.loopDepth -= 1; }
    }
  };
  run(0, false);
  const why = machine.unknown('an element of a sequence of unknown length', node);
  const open = rest.length ? Choice.of(rest, why) : undefined;
  if (node.of === 'dict') {
    const made = new PyDict(keys.map((key, i) => [key, items[i]!] as const));
    if (open !== undefined) made.rest = open;
    return made;
  }
  if (node.of === 'set') { const made = new PySet(items); made.open ||= open !== undefined; return made; }
  return new PyList(items, open, machine.loopDepth);
}

/** Items of a comprehension that are evaluated before it is asked whether the rest would be any different. */
const MANY = 64;
/** Numbers with a fraction, values that are unknown for one reason, or lists of these of one length: no sizes of modules. */
function alike(items: readonly Value[]): boolean {
  const [first] = items;
  if (first instanceof PyFloat) return items.every((item) => item instanceof PyFloat);
  if (first instanceof UnknownValue) return first.origin === undefined && items.every((item) => item instanceof UnknownValue && item.origin === undefined && item.reason === first.reason);
  if (first instanceof PyList) {
    return first.rest === undefined && first.items.length > 0 && items.every((item) => item instanceof PyList && item.rest === undefined && item.items.length === first.items.length) && alike(first.items);
  }
  return false;
}

/** Binds a loop variable or a tuple of them. */
function bind(machine: Machine, target: Expr, value: Value, env: Environment): void {
  if (target.kind === 'name') { env.variables.set(target.name, value); return; }
  if (target.kind === 'star') { bind(machine, target.value, value, env); return; }
  if (target.kind !== 'tuple' && target.kind !== 'list') return;
  const star = target.items.findIndex((item) => item.kind === 'star');
  const values = unpack(machine, value, target.items.length, star, target);
  target.items.forEach((item, i) => bind(machine, item, values[i]!, env));
}

function evaluateFormat(machine: Machine, parts: readonly (string | FormatPart)[], env: Environment, node: Expr): Value {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') { text += part; continue; }
    const value = evaluate(machine, part.value, env);
    const spec = part.spec ? evaluateFormat(machine, part.spec, env, node) : '';
    const formatted = typeof spec === 'string' ? formatValue(machine, value, spec, part.conversion) : undefined;
    if (formatted === undefined) return machine.unknown(`${describe(part.value)} is not known`, part.value);
    text += part.debug + formatted;
  }
  return text;
}

/** Arguments of a call, stars expanded. */
export function evaluateArguments(machine: Machine, nodes: readonly Argument[], env: Environment): Arguments {
  const positional: Value[] = [];
  const keywords = new Map<string, Value>();
  let rest: Value[] | null = null;
  let openKeywords: UnknownValue | undefined;
  for (const { name, star, value: node } of nodes) {
    const value = evaluate(machine, node, env);
    if (star === 1) {
      const sequence = valuesOf(machine, value, node);
      for (const item of sequence.items) { machine.step(); if (rest) rest.push(item); else positional.push(item); }
      if (sequence.rest !== undefined) rest = [...(rest ?? []), sequence.rest];
    } else if (star === 2) {
      if (value instanceof PyDict) {
        for (const entry of value.entries.values()) if (typeof entry.key === 'string') keywords.set(entry.key, entry.value);
        if (value.rest !== undefined) openKeywords = machine.unknown(`${describe(node)} has keys that are not known`, node);
      } else if (value !== null) openKeywords = machine.unknown(`${describe(node)} is not known${value instanceof UnknownValue ? `: ${value.reason}` : ''}`, node);
    } else if (name !== undefined) keywords.set(name, value);
    else if (rest) rest.push(value);
    else positional.push(value);
  }
  return { positional, keywords, ...(rest ? { rest: Choice.of(rest, machine.unknown('position in a sequence of unknown length')) } : {}), ...(openKeywords ? { openKeywords } : {}) };
}

/** Source-like text of an expression, for reasons. Not exact: long parts are shortened. */
export function describe(node: Expr): string {
  switch (node.kind) {
    case 'name': return node.name;
    case 'int': case 'float': return String(node.value);
    case 'str': return node.value.length > 40 ? `'${node.value.slice(0, 40)}…'` : `'${node.value}'`;
    case 'constant': return node.value === null ? 'None' : node.value ? 'True' : 'False';
    case 'attribute': return `${describe(node.object)}.${node.name}`;
    case 'subscript': return `${describe(node.object)}[${describe(node.index)}]`;
    case 'call': return `${describe(node.callee)}(${node.args.length ? '…' : ''})`;
    case 'unary': return node.operator === 'not' ? `not ${describe(node.operand)}` : `${node.operator}${describe(node.operand)}`;
    case 'binary': return `${describe(node.left)} ${node.operator} ${describe(node.right)}`;
    case 'logical': return `${describe(node.left)} ${node.operator} ${describe(node.right)}`;
    case 'compare': return [describe(node.first), ...node.rest.map(({ operator, value }) => `${operator} ${describe(value)}`)].join(' ');
    case 'tuple': return `(${node.items.slice(0, 4).map(describe).join(', ')}${node.items.length > 4 ? ', …' : ''})`;
    case 'list': return `[${node.items.slice(0, 4).map(describe).join(', ')}${node.items.length > 4 ? ', …' : ''}]`;
    case 'star': return `*${describe(node.value)}`;
    case 'fstring': return "f'…'";
    case 'conditional': return `${describe(node.then)} if ${describe(node.test)} else ${describe(node.otherwise)}`;
    case 'comprehension': return '[… for …]';
    case 'lambda': return 'lambda';
    case 'slice': return ':';
    default: return '…';
  }
}
