/** What in a file can be the root of a tree: module classes, functions that return a module, instances at the top level. */
import type { RootCandidate } from './module-tree';
import { spanOf, type Definition, type Expr, type Stmt } from './syntax/ast';
import { Instance, PyClass, PyFunction, UnknownValue, type Value } from './values/values';
import { findAttribute } from './evaluation/attributes';
import { BudgetExceeded, PyRaise, type Machine } from './evaluation/machine';
import type { ModuleScope } from './evaluation/scope';
import { isModuleClass } from './library/types';
import { adjustableParameters, keywordParameters, missingArguments } from './arguments';

/** What is known of functions so far, and which ones are being looked at. */
interface Search { readonly known: Map<Definition, boolean>; readonly open: Set<Definition>; cut: boolean }

/** Does not throw: what cannot be decided is left out. */
export function findCandidates(machine: Machine, module: ModuleScope): RootCandidate[] {
  const found = new Map<string, RootCandidate>();
  const search: Search = { known: new Map(), open: new Set(), cut: false };
  for (const chunk of module.chunks) {
    try {
      for (const statement of chunk.statements()) for (const candidate of statementCandidates(machine, module, statement, search)) found.set(candidate.name, candidate);
    } catch (error) {
      if (!(error instanceof PyRaise || error instanceof BudgetExceeded || error instanceof RangeError)) throw error;
    }
  }
  return [...found.values()];
}

function statementCandidates(machine: Machine, module: ModuleScope, statement: Stmt, search: Search): RootCandidate[] {
  switch (statement.kind) {
    case 'class': {
      const cls = module.lookup(machine, statement.name);
      if (!(cls instanceof PyClass) || !looksLikeModule(cls)) return [];
      return [{ name: statement.name, kind: 'class', span: cls.span ?? spanOf(statement), missingArguments: missingArguments(machine, cls), parameters: keywordParameters(cls), adjustable: adjustableParameters(machine, cls) }];
    }
    case 'function': {
      const { definition } = statement;
      // Its own body first: files of models register hundreds of functions, and running all those decorators takes its time.
      if (!returnsModule(machine, definition, module, search)) return [];
      const value = module.lookup(machine, definition.name);
      const fn = value instanceof PyFunction ? value : null;
      if (!fn || (fn.definition !== definition && !returnsModule(machine, fn.definition, fn.closure.module, search))) return [];
      const missing = missingArguments(machine, fn);
      if (definition.name.startsWith('_') && missing.length > 0) return [];
      return [{ name: definition.name, kind: 'function', span: spanOf(definition), missingArguments: missing, parameters: keywordParameters(fn), adjustable: adjustableParameters(machine, fn) }];
    }
    case 'assign': {
      const [target] = statement.targets;
      if (target?.kind !== 'name' || statement.value.kind !== 'call') return [];
      if (!givesModule(machine, statement.value, new Map(), module, search)) return [];
      return [{ name: target.name, kind: 'instance', span: spanOf(statement), missingArguments: [] }];
    }
    case 'if': case 'try': case 'with': {
      const blocks = statement.kind === 'if' ? [...statement.then, ...statement.otherwise] : statement.body;
      if (statement.kind === 'if' && isMainGuard(statement.test)) return [];
      return blocks.flatMap((inner) => statementCandidates(machine, module, inner, search));
    }
    default: return [];
  }
}
const isMainGuard = (test: Expr): boolean => test.kind === 'compare' && test.first.kind === 'name' && test.first.name === '__name__';

/** A class that derives from nn.Module, or from something unknown and is written like a module. */
export function looksLikeModule(cls: PyClass): boolean {
  if (isModuleClass(cls)) return true;
  if (!cls.unknownBase) return false;
  if (/Module$|Model$|PreTrainedModel$/.test(cls.unknownBase.origin?.name ?? '')) return true;
  return cls.body.some((node) => node.kind === 'function' && /^forward(?:_\w+)?$/.test(node.definition.name));
}

/** Whether a function returns a module, judged by its return statements alone. */
function returnsModule(machine: Machine, definition: Definition, module: ModuleScope, search: Search): boolean {
  const known = search.known.get(definition);
  if (known !== undefined) return known;
  if (search.open.has(definition) || search.open.size > 40) { search.cut = true; return false; }
  const outer = search.cut;
  search.cut = false;
  search.open.add(definition);
  let found: boolean;
  try { found = returnedModule(machine, definition, module, search); } finally { search.open.delete(definition); }
  // A "no" that rests on a function still being looked at holds only there.
  if (found || !search.cut) search.known.set(definition, found);
  search.cut ||= outer;
  return found;
}

function returnedModule(machine: Machine, definition: Definition, module: ModuleScope, search: Search): boolean {
  const locals = new Map<string, Expr[]>();
  const returns: Expr[] = [];
  const walk = (statements: readonly Stmt[]): void => {
    for (const node of statements) {
      if (node.kind === 'return' && node.value) returns.push(node.value);
      else if (node.kind === 'assign' || node.kind === 'annotated') {
        const target = node.kind === 'assign' ? node.targets[0] : node.target;
        if (target?.kind === 'name' && node.value) locals.set(target.name, [...(locals.get(target.name) ?? []), node.value]);
      } else if (node.kind === 'if') { walk(node.then); walk(node.otherwise); }
      else if (node.kind === 'for' || node.kind === 'while' || node.kind === 'with') walk(node.body);
      else if (node.kind === 'try') { walk(node.body); node.handlers.forEach((handler) => walk(handler.body)); }
    }
  };
  walk(definition.body.statements());
  return returns.some((value) => givesModule(machine, value, locals, module, search));
}

const KEEPING = new Set(['to', 'cuda', 'cpu', 'eval', 'train', 'half', 'float', 'bfloat16', 'double', 'requires_grad_', 'apply']);

function givesModule(machine: Machine, node: Expr, locals: ReadonlyMap<string, readonly Expr[]>, module: ModuleScope, search: Search, depth = 0): boolean {
  if (depth > 12) return false;
  const again = (inner: Expr): boolean => givesModule(machine, inner, locals, module, search, depth + 1);
  switch (node.kind) {
    case 'name': return (locals.get(node.name) ?? []).some(again);
    case 'conditional': return again(node.then) || again(node.otherwise);
    case 'tuple': return false;
    case 'call': {
      if (node.callee.kind === 'attribute' && KEEPING.has(node.callee.name)) return again(node.callee.object);
      const callee = resolve(machine, node.callee, locals, module);
      if (callee instanceof PyClass) return isModuleClass(callee) || looksLikeModule(callee);
      if (callee instanceof PyFunction) return returnsModule(machine, callee.definition, callee.closure.module, search);
      if (callee instanceof UnknownValue) return false;
      // `partial`, `build_model_with_cfg(Net, …)`: a function given a module class usually builds it.
      return false;
    }
    default: return false;
  }
}

/** The value of a dotted name, without evaluating anything else. */
function resolve(machine: Machine, node: Expr, locals: ReadonlyMap<string, readonly Expr[]>, module: ModuleScope): Value | undefined {
  if (node.kind === 'name') return locals.has(node.name) ? undefined : module.lookup(machine, node.name);
  if (node.kind !== 'attribute') return undefined;
  const object = resolve(machine, node.object, locals, module);
  if (object === undefined || object instanceof UnknownValue || object instanceof Instance) return undefined;
  return findAttribute(machine, object, node.name);
}
