/** Evaluated modules to the module tree that the other rooms see. */
import type { Dimension, ModuleNode, ParameterNode, SourceSpan, Unknown } from './module-tree';
import { Absent, Choice, Instance, PyTuple, Tensor, UnknownValue, type PyClass, type Value } from './values/values';
import { declaredTies } from './library/pretrained';
import { isModule } from './library/types';
import { isMissingArgument } from './arguments';
import type { Body, Expr } from './syntax/ast';
import type { Machine } from './evaluation/machine';

const asUnknown = (why: UnknownValue): Unknown => ({ reason: why.reason, ...(why.span ? { span: why.span } : {}) });
const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
const MAX_NODES = 200_000;

/** Makes nodes in state_dict order: own parameters, own buffers, children. */
export class TreeMaker {
  /** First full name of each tensor: a second one is tied to it. */
  private readonly names = new Map<Tensor, string>();
  private readonly open = new Set<Instance>();
  private count = 0;

  constructor(private readonly machine: Machine) {}

  /** Node of a value that should be a module. `fallback` is where to point when it is not. */
  root(result: Value, name: string, fallback: SourceSpan): ModuleNode {
    // Of several things that a function gives back, the first module is the model.
    const value = result instanceof PyTuple ? result.items.find((item) => this.isModuleLike(item)) ?? result : result;
    const node = this.node(value, '', fallback);
    if (node) return node;
    const why = value instanceof UnknownValue ? value : this.machine.unknown(`${name} does not give a module`, fallback);
    return { path: '', className: name, qualifiedName: name, kind: 'unknown', args: {}, span: fallback, parameters: [], children: [], unknown: asUnknown(why) };
  }

  private isModuleLike(value: Value): boolean {
    return (value instanceof Instance && isModule(value)) || (value instanceof Choice && value.options.some((option) => this.isModuleLike(option)));
  }

  private node(value: Value, path: string, fallback: SourceSpan): ModuleNode | null {
    if (value instanceof Instance) return isModule(value) ? this.module(value, path) : null;
    if (value instanceof UnknownValue) return this.unknown(value, path, fallback);
    if (value instanceof Choice) return this.choice(value, path, fallback);
    return null;
  }

  private module(instance: Instance, path: string): ModuleNode {
    const { cls } = instance;
    const args: Record<string, unknown> = {};
    for (const [name, value] of instance.arguments) { const plain = this.machine.json(value); if (plain !== undefined) args[name] = plain; }
    const shell = {
      path, className: cls.name, qualifiedName: cls.qualifiedName, kind: kindOf(cls), args, span: instance.span, ...(cls.span ? { classSpan: cls.span } : {}),
      ...declaredTies(cls),
      ...(instance.unknown ? { unknown: asUnknown(instance.unknown) } : {}),
    } as const;
    if (instance.unknown) this.machine.note(instance.unknown);
    if (this.open.has(instance) || ++this.count > MAX_NODES) return { ...shell, parameters: [], children: [], unknown: { reason: 'contains itself', span: instance.span } };
    this.open.add(instance);
    const parameters = [
      ...[...instance.parameters].flatMap(([name, value]) => this.tensor(value, name, 'parameter', true, path, instance.span)),
      ...[...instance.buffers].flatMap(([name, value]) => this.tensor(value, name, 'buffer', !instance.transient.has(name), path, instance.span)),
    ];
    const children = [...instance.modules].flatMap(([name, value]) => { const made = this.node(value, join(path, name), instance.span); return made ? [made] : []; });
    children.push(...this.handedModules(instance, path));
    this.open.delete(instance);
    return { ...shell, parameters, children };
  }

  /** `self.encoder = encoder`, an argument nobody gave, and `self.encoder(x)`: there may be a module of that name. */
  private handedModules(instance: Instance, path: string): ModuleNode[] {
    const handed = [...instance.attributes].flatMap(([name, value]) => (value instanceof UnknownValue && isMissingArgument(value) ? [[name, value] as const] : []));
    if (handed.length === 0) return [];
    const called = calledMembers(instance.cls);
    return handed.filter(([name]) => called.has(name)).map(([name, value]) => ({ ...this.unknown(value, join(path, name), instance.span), optional: true }));
  }

  private tensor(value: Value, name: string, kind: 'parameter' | 'buffer', persistent: boolean, path: string, span: SourceSpan): ParameterNode[] {
    if (value === null || value instanceof Absent) return [];
    if (value instanceof Tensor) return [{ name, kind, shape: value.shape, persistent, span: value.span, ...this.tie(value, join(path, name)) }];
    if (value instanceof Choice) {
      const options = value.options.filter((option): option is Tensor => option instanceof Tensor);
      const [first] = options;
      if (!first) return value.options.some((option) => option instanceof UnknownValue) ? [{ name, kind, shape: null, persistent, span, optional: true }] : [];
      const optional = options.length < value.options.length;
      if (optional) this.machine.note(value.why);
      return [{ name, kind, shape: options.map((option) => option.shape).reduce(mergeShapes), persistent, span: first.span, ...this.tie(first, join(path, name)), ...(optional ? { optional } : {}) }];
    }
    // A buffer or parameter whose value is not known exists all the same.
    if (value instanceof UnknownValue) this.machine.note(value);
    return [{ name, kind, shape: null, persistent, span: (value instanceof UnknownValue ? value.span : undefined) ?? span }];
  }
  private tie(tensor: Tensor, fullName: string): { tiedTo?: string } {
    const first = this.names.get(tensor);
    if (first === undefined) { this.names.set(tensor, fullName); return {}; }
    return first === fullName ? {} : { tiedTo: first };
  }

  private unknown(value: UnknownValue, path: string, fallback: SourceSpan): ModuleNode {
    const { origin } = value;
    const name = origin?.name.split('.').at(-1) || 'unknown';
    this.machine.note(value);
    return { path, className: name, qualifiedName: origin?.name ? `${origin.package}.${origin.name}` : 'unknown', kind: 'unknown', args: {},
      span: origin?.called ?? value.span ?? fallback, parameters: [], children: [], unknown: asUnknown(value) };
  }

  private choice(value: Choice, path: string, fallback: SourceSpan): ModuleNode | null {
    const nodes = value.options.flatMap((option) => { const made = this.node(option, path, fallback); return made ? [made] : []; });
    const [first] = nodes;
    if (!first) return null;
    const optional = nodes.length < value.options.length;
    const merged = nodes.reduce((a, b) => mergeNodes(a, b, asUnknown(value.why)));
    if (holdsTensors(merged) && (optional || merged.kind === 'unknown')) this.machine.note(value.why);
    return optional ? { ...merged, optional } : merged;
  }
}

/** Names `x` of every `self.x(…)` and `self.x.y(…)` in the methods of a class. */
function calledMembers(cls: PyClass): Set<string> {
  const found = new Set<string>();
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) { node.forEach(walk); return; }
    if (typeof node !== 'object' || node === null) return;
    const { kind, callee, statements } = node as { kind?: unknown; callee?: Expr; statements?: unknown };
    // The body of a function inside a method is made when asked for.
    if (typeof statements === 'function') { walk((node as Body).statements()); return; }
    if (kind === 'call') {
      let at = callee;
      while (at?.kind === 'attribute' && at.object.kind === 'attribute') at = at.object;
      if (at?.kind === 'attribute' && at.object.kind === 'name' && at.object.name === 'self') found.add(at.name);
    }
    for (const [key, part] of Object.entries(node)) if (key !== 'anchor') walk(part);
  };
  for (const base of cls.mro) for (const member of base.body) if (member.kind === 'function') walk(member.definition.body.statements());
  return found;
}

const kindOf = (cls: PyClass): 'torch' | 'user' => (cls.native.spec || cls.span === null ? 'torch' : 'user');
export const holdsTensors = (node: ModuleNode): boolean => node.parameters.length > 0 || node.kind === 'unknown' || node.children.some(holdsTensors);

type Shape = readonly Dimension[] | null;
function mergeShapes(a: Shape, b: Shape): Shape {
  if (a === null || b === null || a.length !== b.length) return null;
  return a.map((n, i) => (n === b[i] ? n : null));
}

/** One node for two that may stand at the same path. What only one has is optional. */
function mergeNodes(a: ModuleNode, b: ModuleNode, why: Unknown): ModuleNode {
  const same = a.qualifiedName === b.qualifiedName && a.kind === b.kind;
  const names = (a.className.split(' | ').includes(b.className) ? a.className : `${a.className} | ${b.className}`);
  const parameters = mergeLists(a.parameters, b.parameters, (p) => p.name, (p, q) => ({ ...p, shape: mergeShapes(p.shape, q.shape), ...(p.optional || q.optional ? { optional: true } : {}) }));
  const children = mergeLists(a.children, b.children, (node) => node.path, (m, n) => mergeNodes(m, n, why));
  const args = Object.fromEntries(Object.entries(a.args).filter(([key, value]) => JSON.stringify(b.args[key]) === JSON.stringify(value)));
  return {
    ...a, args, parameters, children, ...(a.optional || b.optional ? { optional: true } : {}),
    ...(same && samePlace(a.span, b.span) ? {} : { alternatives: [a, b].flatMap((node) => node.alternatives ?? [node]) }),
    ...(same ? {} : { kind: 'unknown' as const, className: names, qualifiedName: names, unknown: a.unknown ?? b.unknown ?? why }),
  };
}
const samePlace = (a: SourceSpan, b: SourceSpan): boolean => a.file === b.file && a.startLine === b.startLine && a.startColumn === b.startColumn;
function mergeLists<T extends { readonly optional?: boolean }>(a: readonly T[], b: readonly T[], key: (item: T) => string, both: (x: T, y: T) => T): T[] {
  const other = new Map(b.map((item) => [key(item), item]));
  const own = new Set(a.map(key));
  return [
    ...a.map((item) => { const match = other.get(key(item)); return match ? both(item, match) : { ...item, optional: true }; }),
    ...b.filter((item) => !own.has(key(item))).map((item) => ({ ...item, optional: true })),
  ];
}
