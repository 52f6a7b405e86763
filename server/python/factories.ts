/** Which module a function gives back, judged by its return statements alone: nothing is run. */
import type { Argument, Definition, Expr, Stmt } from './syntax/ast';
import { BoundMethod, Instance, PyClass, PyFunction, UnknownValue, type Value } from './values/values';
import { findAttribute } from './evaluation/attributes';
import type { Machine } from './evaluation/machine';
import type { ModuleScope } from './evaluation/scope';
import { isModuleClass } from './library/types';

/** What a function builds. */
export interface Built {
  /** The class, when one could be told. */
  readonly cls: PyClass | null;
  /** True when keywords that the function takes without naming them reach the constructor. */
  readonly open: boolean;
}

/** Calls deeper than this are not followed. */
const MAX_OPEN = 40;
const MAX_DEPTH = 12;

/** A class that derives from nn.Module, or from something unknown and is written like a module. */
export function looksLikeModule(cls: PyClass): boolean {
  if (isModuleClass(cls)) return true;
  if (!cls.unknownBase) return false;
  if (/Module$|Model$|PreTrainedModel$/.test(cls.unknownBase.origin?.name ?? '')) return true;
  return cls.body.some((node) => node.kind === 'function' && /^forward(?:_\w+)?$/.test(node.definition.name));
}

/** Methods that give the module back. */
const KEEPING = new Set(['to', 'cuda', 'cpu', 'eval', 'train', 'half', 'float', 'bfloat16', 'double', 'requires_grad_', 'apply']);

type Given = ReadonlyMap<string, Value>;
const NOTHING: Given = new Map();

/** Looks into functions, remembering what it found. */
export class FactorySearch {
  private readonly known = new Map<Definition, Built | null>();
  private readonly open = new Set<Definition>();
  private cut = false;

  constructor(private readonly machine: Machine) {}

  /** What a function returns when called; `given` are those of its arguments that are classes or functions. */
  returns(definition: Definition, module: ModuleScope, given: Given = NOTHING): Built | null {
    const known = given.size === 0 ? this.known.get(definition) : undefined;
    if (known !== undefined) return known;
    if (this.open.has(definition) || this.open.size > MAX_OPEN) { this.cut = true; return null; }
    const outer = this.cut;
    this.cut = false;
    this.open.add(definition);
    let found: Built | null;
    try { found = new Body(this, this.machine, definition, module, given).built(); } finally { this.open.delete(definition); }
    // A "no" that rests on a function still being looked at holds only there.
    if (given.size === 0 && (found || !this.cut)) this.known.set(definition, found);
    this.cut ||= outer;
    return found;
  }

  /** What the right-hand side of an assignment at the top level gives. */
  givenBy(node: Expr, module: ModuleScope): Built | null {
    return new Body(this, this.machine, null, module, NOTHING).gives(node);
  }
}

/** One function body with what its names stand for. */
class Body {
  private readonly locals = new Map<string, Expr[]>();
  private readonly returned: Expr[] = [];

  constructor(private readonly search: FactorySearch, private readonly machine: Machine, definition: Definition | null, private readonly module: ModuleScope, private readonly given: Given) {
    if (definition) this.walk(definition.body.statements());
  }

  built(): Built | null {
    return this.first(this.returned, 0);
  }

  private walk(statements: readonly Stmt[]): void {
    for (const node of statements) {
      if (node.kind === 'return' && node.value) this.returned.push(node.value);
      else if (node.kind === 'assign' || node.kind === 'annotated') {
        const target = node.kind === 'assign' ? node.targets[0] : node.target;
        if (target?.kind === 'name' && node.value) this.locals.set(target.name, [...(this.locals.get(target.name) ?? []), node.value]);
      } else if (node.kind === 'if') { this.walk(node.then); this.walk(node.otherwise); }
      else if (node.kind === 'for' || node.kind === 'while' || node.kind === 'with') this.walk(node.body);
      else if (node.kind === 'try') { this.walk(node.body); node.handlers.forEach((handler) => this.walk(handler.body)); }
    }
  }

  private first(nodes: readonly Expr[], depth: number): Built | null {
    for (const node of nodes) { const found = this.gives(node, depth); if (found) return found; }
    return null;
  }

  gives(node: Expr, depth = 0): Built | null {
    if (depth > MAX_DEPTH) return null;
    switch (node.kind) {
      case 'name': return this.first(this.locals.get(node.name) ?? [], depth + 1);
      case 'conditional': return this.first([node.then, node.otherwise], depth + 1);
      // `return model, criterion, postprocessors`: the model comes first.
      case 'tuple': return this.first(node.items, depth + 1);
      case 'call': {
        if (node.callee.kind === 'attribute' && KEEPING.has(node.callee.name)) return this.gives(node.callee.object, depth + 1);
        for (const callee of this.values(node.callee)) { const found = this.called(callee, node.args); if (found) return found; }
        return null;
      }
      default: return null;
    }
  }

  private called(callee: Value, args: readonly Argument[]): Built | null {
    const spreads = args.some(({ star }) => star === 2);
    if (callee instanceof PyClass) return looksLikeModule(callee) ? { cls: callee, open: spreads } : null;
    const [fn, self] = callee instanceof BoundMethod ? [callee.callee, callee.self] : [callee, undefined];
    if (!(fn instanceof PyFunction)) return null;
    const found = this.search.returns(fn.definition, fn.closure.module, this.handed(fn, self, args));
    return found && { cls: found.cls, open: found.open && spreads };
  }

  /** Classes and functions among the arguments, by the parameter they go to: `build(Net, ...)` calls one of them. */
  private handed(fn: PyFunction, self: Value | undefined, args: readonly Argument[]): Given {
    const handed = new Map<string, Value>();
    const parameters = fn.definition.parameters;
    let next = 0;
    if (self !== undefined && parameters[0]) { next = 1; if (self instanceof PyClass) handed.set(parameters[0].name, self); }
    for (const { name, star, value } of args) {
      if (star) break;
      const target = name ?? parameters[next++]?.name;
      if (target === undefined || (value.kind !== 'name' && value.kind !== 'attribute' && value.kind !== 'conditional')) continue;
      const found = this.values(value).find((option) => (option instanceof PyClass && looksLikeModule(option)) || option instanceof PyFunction);
      if (found !== undefined) handed.set(target, found);
    }
    return handed;
  }

  /** What a dotted name may stand for, without evaluating anything else. */
  private values(node: Expr, depth = 0): Value[] {
    if (depth > MAX_DEPTH) return [];
    if (node.kind === 'conditional') return [node.then, node.otherwise].flatMap((side) => this.values(side, depth + 1));
    if (node.kind === 'name') {
      const handed = this.given.get(node.name);
      const local = this.locals.get(node.name)?.flatMap((value) => (value.kind === 'name' && value.name === node.name ? [] : this.values(value, depth + 1)));
      if (handed !== undefined || local) return [...(handed === undefined ? [] : [handed]), ...(local ?? [])];
      const found = this.module.lookup(this.machine, node.name);
      return found === undefined ? [] : [found];
    }
    if (node.kind !== 'attribute') return [];
    return this.values(node.object, depth + 1).flatMap((object) => {
      if (object instanceof UnknownValue || object instanceof Instance) return [];
      const found = findAttribute(this.machine, object, node.name);
      return found === undefined ? [] : [found];
    });
  }
}
