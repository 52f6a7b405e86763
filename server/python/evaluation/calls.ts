/** Calling things: binding arguments to parameters, running function bodies, making instances. */
import type { SourceSpan } from '../module-tree';
import { spanOf, type Expr } from '../syntax/ast';
import { parseExpression } from '../syntax/fragment';
import {
  BoundMethod, Builtin, Choice, Instance, Namespace, Opaque, Partial, PyClass, PyDict, PyFunction, PyList, PyTuple, SuperProxy, Tensor, UnknownValue, sameValue,
  type Arguments, type Value,
} from '../values/values';
import { callNamespace } from '../library/libraries';
import { isModule, isModuleClass } from '../library/types';
import { torchFunctionName } from '../library/support';
import { instantiate } from './classes';
import { describe, evaluate, evaluateArguments, lookupName } from './expressions';
import type { Machine } from './machine';
import { Environment } from './scope';
import { executeBlock } from './statements';

export const noArguments: Arguments = { positional: [], keywords: new Map() };

export function callExpression(machine: Machine, node: Extract<Expr, { kind: 'call' }>, env: Environment): Value {
  if (node.callee.kind === 'name') {
    const special = scopeCall(machine, node, node.callee.name, env);
    if (special !== undefined) return special;
  }
  const callee = evaluate(machine, node.callee, env);
  const args = evaluateArguments(machine, node.args, env);
  const site = machine.entry ?? spanOf(node);
  machine.site = site;
  return callValue(machine, callee, args, site, node);
}

/** Calls that need the scope they stand in. */
function scopeCall(machine: Machine, node: Extract<Expr, { kind: 'call' }>, name: string, env: Environment): Value | undefined {
  if (!/^(super|locals|globals|vars|eval|dir)$/.test(name) || env.holder(name)) return undefined;
  if (name === 'super') {
    if (node.args.length >= 2) {
      const [cls, self] = node.args.map((argument) => evaluate(machine, argument.value, env));
      return cls instanceof PyClass ? new SuperProxy(cls, self!) : machine.unknown(`super(): ${describe(node.args[0]!.value)} is not known`, node);
    }
    for (let scope: Environment | null = env; scope; scope = scope.parent) if (scope.cls && scope.self !== undefined) return new SuperProxy(scope.cls, scope.self);
    return machine.unknown('super() outside a method', node);
  }
  if (name === 'locals') {
    const made = new PyDict();
    for (const [key, value] of env.variables) made.set(key, value);
    return made;
  }
  if (name === 'globals') return new Builtin('globals()', (_, args) => (typeof args.positional[0] === 'string' ? lookupName(machine, args.positional[0], env) : machine.unknown('a global whose name is not known', node)));
  if (name === 'eval' && node.args.length > 0) {
    const text = evaluate(machine, node.args[0]!.value, env);
    if (typeof text !== 'string') return text;
    // Only the interpreter reads the text: nothing is executed.
    const parsed = parseExpression(text, node);
    return parsed ? machine.call(() => evaluate(machine, parsed, env)) : machine.unknown(`eval(${JSON.stringify(text)}) does not parse`, node);
  }
  return undefined;
}

/** Calls a value. `site` is the call expression: what a module made here is said to be constructed by. */
export function callValue(machine: Machine, callee: Value, args: Arguments, site: SourceSpan, node?: Expr): Value {
  machine.step();
  if (callee instanceof PyFunction) return callFunction(machine, callee, args, site);
  if (callee instanceof BoundMethod) return callValue(machine, callee.callee, { ...args, positional: [callee.self, ...args.positional] }, site, node);
  if (callee instanceof Builtin) {
    const name = machine.tracer ? torchFunctionName(callee) : undefined;
    const traced = name === undefined ? undefined : machine.tracer!.callFunction(machine, name, args, site, () => callee.call(machine, args, site));
    return traced === undefined ? machine.call(() => callee.call(machine, args, site)) : traced;
  }
  if (callee instanceof PyClass) return machine.call(() => instantiate(machine, callee, args, site));
  if (callee instanceof Partial) {
    return callValue(machine, callee.callee, { ...args, positional: [...callee.args.positional, ...args.positional], keywords: new Map([...callee.args.keywords, ...args.keywords]) }, site, node);
  }
  if (callee instanceof Choice) {
    return Choice.of(machine.fork(callee.options.map((option) => () => callValue(machine, option, args, site, node)), callee.why), callee.why);
  }
  if (callee instanceof Instance) {
    if (machine.tracer && isModule(callee)) return machine.call(() => machine.tracer!.callModule(machine, callee, args, site));
    const method = callee.cls.lookup('__call__');
    if (method instanceof PyFunction && !isModuleClass(callee.cls)) return callFunction(machine, method, { ...args, positional: [callee, ...args.positional] }, site);
    return machine.unknown(`the result of running ${callee.cls.name}`, site);
  }
  if (callee instanceof UnknownValue) {
    const traced = machine.tracer && callee.origin ? machine.tracer.callFunction(machine, `${callee.origin.package}.${callee.origin.name}`, args, site) : undefined;
    if (traced !== undefined) return traced;
    const origin = callee.origin ?? factoryOrigin(node);
    return new UnknownValue(callee.reason, callee.span ?? site, origin ? { ...origin, called: site } : undefined);
  }
  if (callee instanceof Opaque) return machine.unknown(`the result of ${callee.name}(…) is not known`, site);
  if (callee instanceof Namespace) {
    const traced = machine.tracer?.callFunction(machine, callee.name, args, site);
    if (traced !== undefined) return traced;
    const call = callNamespace(callee);
    if (call) return call.call(machine, args, site);
    // A function of torch that is not modelled: what it gives from a tensor is a tensor of unknown shape.
    const [first] = args.positional;
    if (first instanceof Tensor) return new Tensor(/\.(normalize|softmax|log_softmax|dropout|relu|gelu|silu|tanh|sigmoid|layer_norm|elu)$/.test(callee.name) ? first.shape : null, site);
    const reason = `${callee.name}(…) is not evaluated`;
    // Loading gives a whole model: not silently nothing.
    if (/^torch\.(hub|jit)\.load$/.test(callee.name)) return new UnknownValue(reason, site, { package: callee.name.replace(/\.load$/, ''), name: 'load', called: site });
    return machine.unknown(reason, site);
  }
  return machine.unknown(`${node && node.kind === 'call' ? describe(node.callee) : 'this'} cannot be called`, site);
}

/**
 * An unknown callee that looks like a module factory (`block(8, 8)`, `ACTS[name]()`, `cfg.norm_layer(dim)`): what it
 * gives may be a module. Method calls on unknown objects (`config.get(...)`) are taken for plain values.
 */
function factoryOrigin(node: Expr | undefined): { package: string; name: string } | undefined {
  if (node?.kind !== 'call') return undefined;
  const { callee } = node;
  const name = describe(callee);
  const factory = callee.kind === 'name' || callee.kind === 'subscript'
    || (callee.kind === 'attribute' && /(?:^|\.)(?:[A-Z]\w*|\w*(?:layer|norm|block|act|module|net|cls|class|backbone|encoder|decoder|model))$/.test(name));
  return factory ? { package: 'unknown', name } : undefined;
}

export function callFunction(machine: Machine, fn: PyFunction, args: Arguments, site: SourceSpan): Value {
  // The vision transformers' own `nn.Module.apply`: walks a tree to fill it with numbers, and where parts of the tree are not known it walks them all.
  if (fn.definition.name === 'named_apply') return args.keywords.get('module') ?? args.positional[1] ?? null;
  return machine.call(() => {
    const env = new Environment(fn.closure.module, fn.closure, 'function', Infinity);
    const bound = bindArguments(machine, fn, args, site);
    const again = machine.running.some((call) => call.fn.definition === fn.definition && call.fn.closure === fn.closure && goesRound(call.bound, bound));
    if (again) return machine.unknown(`${fn.name} calls itself with something that is not known`, site);
    machine.running.push({ fn, bound });
    const { entry } = machine;
    machine.entry = fn.closure.module.builtIn ? entry ?? site : null;
    try { return runBody(machine, fn, args, env, bound, site); } finally { machine.running.pop(); machine.entry = entry; }
  });
}
/** The same call inside itself, of something unknown: nothing more is learned by following it. */
function goesRound(outer: ReadonlyMap<string, Value>, inner: ReadonlyMap<string, Value>): boolean {
  let open = false;
  for (const [name, value] of inner) {
    const was = outer.get(name);
    if (was === undefined || !sameValue(was, value)) return false;
    open ||= value instanceof UnknownValue;
  }
  return open;
}

function runBody(machine: Machine, fn: PyFunction, args: Arguments, env: Environment, bound: ReadonlyMap<string, Value>, site: SourceSpan): Value {
  for (const [name, value] of bound) env.variables.set(name, value);
  if (machine.tracer) for (const { name, where } of fn.definition.parameters) if (where) machine.tracer.seen(where, bound.get(name) ?? null);
  env.cls = fn.owner;
  if (fn.owner) env.self = args.positional[0];
  const statements = fn.definition.body.statements();
  if (fn.definition.body.isGenerator) {
    env.yields = [];
    executeBlock(machine, statements, env);
    return new PyList(env.yields, undefined, machine.loopDepth);
  }
  const outcome = executeBlock(machine, statements, env);
  if (outcome.returned === undefined) return null;
  return outcome.normal ? Choice.of([outcome.returned, null], machine.unknown(`${fn.name} may return nothing`, site)) : outcome.returned;
}

/** Python's rules for parameters. A required one that is missing is unknown, with the reason. */
export function bindArguments(machine: Machine, fn: PyFunction, args: Arguments, site: SourceSpan): Map<string, Value> {
  const bound = new Map<string, Value>();
  const keywords = new Map(args.keywords);
  let next = 0;
  for (const parameter of fn.definition.parameters) {
    const { name, kind } = parameter;
    if (kind === 'varargs') {
      const items = args.positional.slice(next);
      next = args.positional.length;
      bound.set(name, args.rest === undefined ? new PyTuple(items) : new PyList(items, args.rest, machine.loopDepth));
    } else if (kind === 'kwargs') {
      const made = new PyDict();
      for (const [key, value] of keywords) made.set(key, value);
      keywords.clear();
      if (args.openKeywords) made.rest = args.openKeywords;
      bound.set(name, made);
    } else if (kind !== 'keyword' && next < args.positional.length) bound.set(name, args.positional[next++]!);
    else if (kind !== 'positional' && keywords.has(name)) { bound.set(name, keywords.get(name)!); keywords.delete(name); }
    else if (kind !== 'keyword' && args.rest !== undefined) bound.set(name, machine.unknown(`argument ${name} comes from a sequence of unknown length`, site));
    else if (args.openKeywords && fn.defaults.has(name)) bound.set(name, Choice.of([fn.defaults.get(name)!, args.openKeywords], args.openKeywords));
    else if (args.openKeywords) bound.set(name, args.openKeywords);
    else if (fn.defaults.has(name)) bound.set(name, fn.defaults.get(name)!);
    else bound.set(name, machine.unknown(`argument ${name} of ${fn.name === '__init__' && fn.owner ? fn.owner.name : fn.name} is not given`, site));
  }
  return bound;
}
