/** Running statements. A branch on something unknown runs both ways and merges; see {@link Machine.fork}. */
import { spanOf, type Expr, type Handler, type Pattern, type Stmt } from '../syntax/ast';
import { BoundMethod, Builtin, Choice, Instance, Partial, PropertyValue, PyClass, PyDict, PyFunction, PyList, PyTuple, Tensor, UnknownValue, sameValue, type Value } from '../values/values';
import { getAttribute, setAttribute, deleteAttribute } from './attributes';
import { callValue } from './calls';
import { defineClass } from './classes';
import { evaluate, makeFunction, describe, lookupName } from './expressions';
import { importFrom, importModule } from './imports';
import { deleteItem, setItem } from './items';
import { unpack, valuesOf } from './iteration';
import type { Machine} from './machine';
import { handles, PyRaise } from './machine';
import { binary, equals, truth } from './operators';
import { Environment } from './scope';
import { suppressed } from '../library/contexts';
import { isInstanceOf } from '../library/types';

/** The ways a block may end; several at once after a branch on something unknown. */
export interface Outcome { readonly normal: boolean; readonly returned?: Value; readonly broke?: boolean; readonly continued?: boolean }
const NORMAL: Outcome = { normal: true };
const LEFT: Outcome = { normal: false };

function combine(outcomes: readonly Outcome[], why: UnknownValue): Outcome {
  if (outcomes.every((outcome) => outcome === NORMAL)) return NORMAL;
  const returned = outcomes.flatMap((outcome) => (outcome.returned === undefined ? [] : [outcome.returned]));
  return { normal: outcomes.some((o) => o.normal), broke: outcomes.some((o) => o.broke), continued: outcomes.some((o) => o.continued),
    ...(returned.length ? { returned: Choice.of(returned, why) } : {}) };
}

export function executeBlock(machine: Machine, statements: readonly Stmt[], env: Environment, from = 0): Outcome {
  for (let i = from; i < statements.length; i++) {
    const outcome = execute(machine, statements[i]!, env);
    if (outcome === NORMAL) continue;
    if (!outcome.normal) return outcome;
    // Some path has left the block: what follows happens only on the others.
    const why = machine.unknown('depends on a condition that is not known', spanOf(statements[i]!));
    const rest = machine.fork([() => LEFT, () => executeBlock(machine, statements, env, i + 1)], why);
    return combine([{ ...outcome, normal: false }, ...rest], why);
  }
  return NORMAL;
}

function execute(machine: Machine, node: Stmt, env: Environment): Outcome {
  machine.step();
  switch (node.kind) {
    case 'expression': evaluate(machine, node.value, env); return NORMAL;
    case 'assign': {
      const value = evaluate(machine, node.value, env);
      for (const target of node.targets) assign(machine, target, value, env);
      return NORMAL;
    }
    case 'annotated':
      if (node.value) assign(machine, node.target, evaluate(machine, node.value, env), env);
      return NORMAL;
    case 'augmented': return executeAugmented(machine, node, env);
    case 'if': return branch(machine, node.test, env, () => executeBlock(machine, node.then, env), () => executeBlock(machine, node.otherwise, env));
    case 'for': return executeFor(machine, node, env);
    case 'while': return executeWhile(machine, node, env);
    case 'try': return executeTry(machine, node, env);
    case 'with': return executeWith(machine, node, env);
    case 'function': {
      const made = decorate(machine, node.definition.decorators, makeFunction(machine, node.definition, env), env);
      setName(machine, node.definition.name, made, env);
      return NORMAL;
    }
    case 'class': setName(machine, node.name, defineClass(machine, node, env), env); return NORMAL;
    case 'return': return { normal: false, returned: node.value ? evaluate(machine, node.value, env) : null };
    case 'raise': {
      const value = node.value ? describeException(machine, node.value, env) : { type: 'Exception', detail: '' };
      throw new PyRaise(value.type, value.detail, spanOf(node));
    }
    case 'assert': {
      const held = truth(machine, evaluate(machine, node.test, env));
      if (held === false) {
        if (machine.forked || machine.catches('AssertionError')) throw new PyRaise('AssertionError', describe(node.test), spanOf(node));
        machine.note({ reason: `assertion does not hold: ${describe(node.test)}`, span: spanOf(node) });
      }
      return NORMAL;
    }
    case 'import': for (const { module, alias } of node.names) setName(machine, alias ?? module.split('.')[0]!, importModule(machine, module, alias !== null, env, spanOf(node)), env); return NORMAL;
    case 'from': importFrom(machine, node, env, (name, value) => setName(machine, name, value, env)); return NORMAL;
    case 'delete': for (const target of node.targets) executeDelete(machine, target, env); return NORMAL;
    case 'scope': env.declared ??= new Map(); for (const name of node.names) env.declared.set(name, node.scope); return NORMAL;
    case 'match': return executeMatch(machine, node.subject, node.cases, 0, evaluate(machine, node.subject, env), env);
    case 'break': return { normal: false, broke: true };
    case 'continue': return { normal: false, continued: true };
    case 'pass': return NORMAL;
  }
}

/** Runs one side, or both when the condition is not known. */
function branch(machine: Machine, test: Expr, env: Environment, then: () => Outcome, otherwise: () => Outcome): Outcome {
  const value = evaluate(machine, test, env);
  const known = truth(machine, value);
  if (known !== undefined) return known ? then() : otherwise();
  const why = machine.unknown(`${describe(test)} is not known${reasonOf(value)}`, test);
  return combine(machine.fork([then, otherwise], why), why);
}
const reasonOf = (value: Value): string => (value instanceof UnknownValue ? `: ${value.reason}` : '');

export function setName(machine: Machine, name: string, value: Value, env: Environment): void {
  const declared = env.declared?.get(name);
  if (declared === 'global') { machine.spoil(); env.module.bind(name, value, Infinity); return; }
  const holder = declared === 'nonlocal' ? env.holder(name) ?? env : env;
  machine.touch(holder);
  holder.variables.set(name, value);
}

/** Assigns to a name, attribute, item, or a pattern of them. */
export function assign(machine: Machine, target: Expr, value: Value, env: Environment): void {
  switch (target.kind) {
    case 'name': machine.tracer?.seen(target, value); setName(machine, target.name, value, env); return;
    case 'attribute': setAttribute(machine, evaluate(machine, target.object, env), target.name, value, spanOf(target)); return;
    case 'subscript': setItem(machine, evaluate(machine, target.object, env), evaluate(machine, target.index, env), value); return;
    case 'star': assign(machine, target.value, value, env); return;
    case 'tuple': case 'list': {
      const star = target.items.findIndex((item) => item.kind === 'star');
      const values = unpack(machine, value, target.items.length, star, target);
      target.items.forEach((item, i) => assign(machine, item, values[i]!, env));
      return;
    }
    default: return;
  }
}

function executeAugmented(machine: Machine, node: Extract<Stmt, { kind: 'augmented' }>, env: Environment): Outcome {
  const current = evaluate(machine, node.target, env);
  const value = evaluate(machine, node.value, env);
  if (node.operator === '+' && current instanceof PyList) {
    const added = valuesOf(machine, value);
    machine.touch(current);
    if (current.rest !== undefined || machine.loopDepth > current.depth) {
      const all = [...added.items, ...(added.rest === undefined ? [] : [added.rest])];
      if (all.length) current.rest = Choice.of([...(current.rest === undefined ? [] : [current.rest]), ...all], machine.unknown('one of several'));
    } else { current.items.push(...added.items); current.rest = added.rest; }
    assign(machine, node.target, current, env);
    return NORMAL;
  }
  // In place a tensor stays the object it is, with its shape; where its numbers are known they are computed anew.
  const inPlace = !machine.tracer && current instanceof Tensor && current.shape !== null && current.data === null;
  assign(machine, node.target, inPlace ? current : binary(machine, node.operator, current, value, node.target, true), env);
  return NORMAL;
}

function executeFor(machine: Machine, node: Extract<Stmt, { kind: 'for' }>, env: Environment): Outcome {
  const sequence = valuesOf(machine, evaluate(machine, node.iter, env), node.iter);
  const iterator = sequence.items[Symbol.iterator]();
  const why = machine.unknown(`how often ${describe(node.iter)} repeats is not known${sequence.why ? `: ${sequence.why.reason}` : ''}`, node.iter);
  const next = (): Outcome => {
    for (;;) {
      machine.step();
      const item = iterator.next();
      if (item.done) {
        if (sequence.rest === undefined) return executeBlock(machine, node.otherwise, env);
        return afterRepetition(machine, why, node.otherwise, env,
          repeatUnknown(machine, why, () => { assign(machine, node.target, sequence.rest!, env); return executeBlock(machine, node.body, env); }));
      }
      assign(machine, node.target, item.value, env);
      const outcome = executeBlock(machine, node.body, env);
      if (outcome === NORMAL || (outcome.continued && !outcome.broke && outcome.returned === undefined)) continue;
      if (!outcome.normal && !outcome.continued) return outcome.broke && outcome.returned === undefined ? NORMAL : { ...outcome, normal: outcome.broke ?? false, broke: false };
      // May have left the loop: the further rounds happen only if not.
      const rest = machine.fork([() => LEFT, next], why);
      return combine([{ normal: outcome.broke ?? false, ...(outcome.returned === undefined ? {} : { returned: outcome.returned }) }, ...rest], why);
    }
  };
  return next();
}

/**
 * Runs the body of a loop of unknown count once. What changes from round to round (a running channel count, a counter)
 * is found by a rehearsal and is unknown in the round that counts, so that nothing of the first round is taken for all.
 * Gives what a round may return from the function.
 */
function repeatUnknown(machine: Machine, why: UnknownValue, body: () => Outcome): Value | undefined {
  machine.note(why);
  machine.loopDepth += 1;
  try {
    const changes = machine.rehearse(() => { body(); });
    const widen = (): void => {
      for (const { object, before, after } of changes) {
        if (object instanceof Environment || object instanceof Instance) {
          machine.touch(object);
          const old = object instanceof Environment ? (before as Map<string, Value>) : (before as Instance).attributes;
          const now = object instanceof Environment ? (after as Map<string, Value>) : (after as Instance).attributes;
          const live = object instanceof Environment ? object.variables : object.attributes;
          for (const [name, value] of now) {
            const was = old.get(name);
            if (was !== undefined && !sameValue(was, value) && isPlain(value)) live.set(name, new UnknownValue(`${name} changes in a loop of unknown count`, why.span));
          }
        }
      }
    };
    widen();
    const outcomes = machine.fork([() => NORMAL, body], why);
    widen();
    return combine(outcomes, why).returned;
  } finally { machine.loopDepth -= 1; }
}
/** What follows a loop of unknown count; a search that returns from inside the loop may have ended the function. */
function afterRepetition(machine: Machine, why: UnknownValue, otherwise: readonly Stmt[], env: Environment, returned: Value | undefined): Outcome {
  const after = executeBlock(machine, otherwise, env);
  return returned === undefined ? after : combine([{ normal: false, returned }, after], why);
}
const isPlain = (value: Value): boolean => value === null || typeof value !== 'object' || value instanceof PyTuple || !(value instanceof Instance || value instanceof PyList || value instanceof PyDict || value instanceof PyFunction);

/** Rounds of a generator's loop that are run one by one. */
const MANY_YIELDS = 256;

function executeWhile(machine: Machine, node: Extract<Stmt, { kind: 'while' }>, env: Environment): Outcome {
  for (let rounds = 0; ; rounds += 1) {
    machine.step();
    const value = evaluate(machine, node.test, env);
    const known = truth(machine, value);
    if (env.yields !== null && rounds >= MANY_YIELDS) {
      // `while True: yield ...` goes on for as long as somebody asks: how far it got is not known.
      const why = machine.unknown('how much is taken from the generator is not known', node.test);
      return afterRepetition(machine, why, [], env, repeatUnknown(machine, why, () => executeBlock(machine, node.body, env)));
    }
    if (known === undefined) {
      const why = machine.unknown(`how often the loop runs is not known: ${describe(node.test)}${reasonOf(value)}`, node.test);
      return afterRepetition(machine, why, [], env, repeatUnknown(machine, why, () => executeBlock(machine, node.body, env)));
    }
    if (!known) return executeBlock(machine, node.otherwise, env);
    const outcome = executeBlock(machine, node.body, env);
    if (outcome === NORMAL || (outcome.continued && !outcome.broke && outcome.returned === undefined)) continue;
    if (!outcome.normal && !outcome.continued) return outcome.broke && outcome.returned === undefined ? NORMAL : { ...outcome, normal: outcome.broke ?? false, broke: false };
    const why = machine.unknown('the loop may be left on a condition that is not known', node.test);
    const rest = machine.fork([() => LEFT, () => executeWhile(machine, node, env)], why);
    return combine([{ normal: outcome.broke ?? false, ...(outcome.returned === undefined ? {} : { returned: outcome.returned }) }, ...rest], why);
  }
}

function executeTry(machine: Machine, node: Extract<Stmt, { kind: 'try' }>, env: Environment): Outcome {
  const types = node.handlers.flatMap((handler) => (handler.types.length ? handler.types : ['BaseException']));
  const depth = machine.depth;
  let outcome: Outcome;
  machine.handlers.push(types);
  try {
    try { outcome = executeBlock(machine, node.body, env); } finally { machine.handlers.pop(); }
    if (outcome.normal) outcome = node.otherwise.length ? executeBlock(machine, node.otherwise, env) : outcome;
  } catch (error) {
    if (!(error instanceof PyRaise)) throw error;
    const handler = node.handlers.find((candidate) => catches(candidate, error.type));
    if (!handler) throw error;
    machine.depth = depth;
    if (handler.name) setName(machine, handler.name, machine.unknown(`${error.type}: ${error.detail}`, error.span), env);
    outcome = executeBlock(machine, handler.body, env);
  }
  if (node.final.length === 0) return outcome;
  const last = executeBlock(machine, node.final, env);
  return last.normal ? outcome : last;
}
const catches = (handler: Handler, type: string): boolean => handler.types.length === 0 || handler.types.some((name) => handles(name, type));

function executeWith(machine: Machine, node: Extract<Stmt, { kind: 'with' }>, env: Environment): Outcome {
  const swallowed: string[] = [];
  for (const { value, target } of node.items) {
    const context = evaluate(machine, value, env);
    swallowed.push(...suppressed(context) ?? []);
    if (target) assign(machine, target, context instanceof Instance ? enter(machine, context) : context, env);
  }
  if (swallowed.length === 0) return executeBlock(machine, node.body, env);
  const { depth } = machine;
  machine.handlers.push(swallowed);
  try { return executeBlock(machine, node.body, env); } catch (error) {
    if (!(error instanceof PyRaise) || !swallowed.some((type) => handles(type, error.type))) throw error;
    machine.depth = depth;
    return NORMAL;
  } finally { machine.handlers.pop(); }
}

function enter(machine: Machine, context: Instance): Value {
  const method = context.cls.lookup('__enter__');
  return method === undefined ? context : callValue(machine, getAttribute(machine, context, '__enter__'), { positional: [], keywords: new Map() }, context.span);
}

function executeDelete(machine: Machine, target: Expr, env: Environment): void {
  if (target.kind === 'name') { const holder = env.holder(target.name); if (holder) { machine.touch(holder); holder.variables.delete(target.name); } }
  else if (target.kind === 'attribute') deleteAttribute(machine, evaluate(machine, target.object, env), target.name);
  else if (target.kind === 'subscript') deleteItem(machine, evaluate(machine, target.object, env), evaluate(machine, target.index, env));
}

/** Applies decorators, innermost first. One that is not known leaves the definition as it is. */
export function decorate(machine: Machine, decorators: readonly Expr[], made: Value, env: Environment): Value {
  let result = made;
  for (const decorator of [...decorators].reverse()) {
    if (decorator.kind === 'attribute' && (decorator.name === 'setter' || decorator.name === 'deleter' || decorator.name === 'getter')) {
      const property = lookupName(machine, decorator.object.kind === 'name' ? decorator.object.name : '', env);
      if (property instanceof PropertyValue) result = property.withSetter(decorator.name === 'setter' ? result : null);
      continue;
    }
    const callee = evaluate(machine, decorator, env);
    if (callee instanceof UnknownValue || callee === null) continue;
    let decorated: Value;
    try { decorated = callValue(machine, callee, { positional: [result], keywords: new Map() }, spanOf(decorator)); }
    catch (error) { if (!(error instanceof PyRaise)) throw error; continue; }
    if (isDefinition(decorated)) result = decorated;
  }
  return result;
}

const isDefinition = (value: Value): boolean => value instanceof PyFunction || value instanceof PyClass || value instanceof BoundMethod || value instanceof Builtin || value instanceof Partial || value instanceof PropertyValue || value instanceof Instance;

function describeException(machine: Machine, value: Expr, env: Environment): { type: string; detail: string } {
  const callee = value.kind === 'call' ? value.callee : value;
  const type = callee.kind === 'name' ? callee.name : callee.kind === 'attribute' ? callee.name : 'Exception';
  const first = value.kind === 'call' ? value.args[0]?.value : undefined;
  // The message says more with its values filled in.
  const text = first?.kind === 'fstring' ? evaluate(machine, first, env) : undefined;
  return { type, detail: typeof text === 'string' ? text : first ? describe(first) : '' };
}

type Cases = Extract<Stmt, { kind: 'match' }>['cases'];
function executeMatch(machine: Machine, subjectNode: Expr, cases: Cases, from: number, subject: Value, env: Environment): Outcome {
  for (let i = from; i < cases.length; i++) {
    const { pattern, guard, body } = cases[i]!;
    const bound = new Map<string, Value>();
    const matched = matches(machine, pattern, subject, bound, env);
    if (matched === false) continue;
    const run = (): Outcome => {
      for (const [name, value] of bound) setName(machine, name, value, env);
      return executeBlock(machine, body, env);
    };
    const next = (): Outcome => executeMatch(machine, subjectNode, cases, i + 1, subject, env);
    const guarded = (): Outcome => {
      if (!guard) return run();
      for (const [name, value] of bound) setName(machine, name, value, env);
      return branch(machine, guard, env, run, next);
    };
    if (matched === true) return guarded();
    const why = machine.unknown(`${describe(subjectNode)} is not known${reasonOf(subject)}`, subjectNode);
    return combine(machine.fork([guarded, next], why), why);
  }
  return NORMAL;
}

function matches(machine: Machine, pattern: Pattern, subject: Value, bound: Map<string, Value>, env: Environment): boolean | undefined {
  switch (pattern.kind) {
    case 'any': if (pattern.name) bound.set(pattern.name, subject); return true;
    case 'value': return equals(machine, subject, evaluate(machine, pattern.value, env));
    case 'or': {
      let maybe = false;
      for (const option of pattern.options) { const hit = matches(machine, option, subject, bound, env); if (hit) return true; if (hit === undefined) maybe = true; }
      return maybe ? undefined : false;
    }
    case 'as': { const hit = matches(machine, pattern.pattern, subject, bound, env); bound.set(pattern.name, subject); return hit; }
    case 'sequence': {
      if (subject instanceof UnknownValue || subject instanceof Choice) return undefined;
      if (!(subject instanceof PyTuple || subject instanceof PyList) || (subject instanceof PyList && subject.rest !== undefined)) return subject instanceof PyList ? undefined : false;
      const extra = subject.items.length - pattern.items.length;
      if (pattern.star < 0 ? extra !== 0 : extra < -1) return false;
      return every(pattern.items.map((item, i) => {
        if (pattern.star < 0 || i < pattern.star) return () => matches(machine, item, subject.items[i]!, bound, env);
        if (i === pattern.star) return () => matches(machine, item, new PyList(subject.items.slice(i, i + extra + 1)), bound, env);
        return () => matches(machine, item, subject.items[i + extra]!, bound, env);
      }));
    }
    case 'mapping': {
      if (!(subject instanceof PyDict)) return subject instanceof UnknownValue || subject instanceof Choice ? undefined : false;
      return every(pattern.entries.map(({ key, pattern: inner }) => () => {
        const value = subject.get(evaluate(machine, key, env));
        return value === undefined ? (subject.rest === undefined ? false : undefined) : matches(machine, inner, value, bound, env);
      }));
    }
    case 'class': {
      const is = isInstanceOf(machine, subject, evaluate(machine, pattern.type, env));
      if (is !== true) return is;
      if (pattern.positional > 0) return undefined;
      return every(pattern.keywords.map(({ name, pattern: inner }) => () => matches(machine, inner, getAttribute(machine, subject, name), bound, env)));
    }
    case 'unknown': return undefined;
  }
}
function every(tests: readonly (() => boolean | undefined)[]): boolean | undefined {
  let result: boolean | undefined = true;
  for (const test of tests) { const hit = test(); if (hit === false) return false; if (hit === undefined) result = undefined; }
  return result;
}
