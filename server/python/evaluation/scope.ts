/** Where names live: function scopes, class bodies, and modules whose statements run only when a name of theirs is wanted. */
import type { Chunk } from '../syntax/source-file';
import { clock } from '../values/clock';
import { mergeMaps, PyDict, type PyClass, type UnknownValue, type Value } from '../values/values';
import type { Machine } from './machine';

/** Variables of a function call, a class body, or a module statement while it runs. */
export class Environment {
  readonly born = clock.now;
  variables = new Map<string, Value>();
  declared: Map<string, 'global' | 'nonlocal'> | null = null;
  /** Values yielded, when the function is a generator. */
  yields: Value[] | null = null;
  /** Class in whose body the running function was defined, and its first argument: what `super()` needs. */
  cls: PyClass | null = null;
  self: Value | undefined = undefined;
  constructor(readonly module: ModuleScope, readonly parent: Environment | null, readonly kind: 'module' | 'class' | 'function',
    /** Position in the module: only statements before it are seen. Infinity inside functions. */
    readonly index: number) {}

  snapshot(): Map<string, Value> { return new Map(this.variables); }
  restore(state: unknown): void { this.variables = new Map(state as Map<string, Value>); }
  merge(states: readonly unknown[], why: UnknownValue): Map<string, Value> { return mergeMaps(states as readonly Map<string, Value>[], why); }

  /** The scope that holds `name`, of this one and the enclosing functions. */
  holder(name: string): Environment | null {
    if (this.declared?.get(name) === 'global') return null;
    if (this.variables.has(name) && this.declared?.get(name) !== 'nonlocal') return this;
    for (let scope = this.parent; scope; scope = scope.parent) if (scope.kind !== 'class' && scope.variables.has(name)) return scope;
    return null;
  }
}

type RunState = 'waiting' | 'running' | 'done';

/** A Python module of the workspace. */
export class ModuleScope {
  private readonly binders = new Map<string, number[]>();
  private readonly starImports: number[] = [];
  private readonly states: RunState[];
  private readonly bindings = new Map<string, { index: number; value: Value }[]>();
  /** What running a statement had to say, for evaluations that find it done. */
  private readonly said = new Map<number, { readonly notes: Machine['notes']; readonly assumptions: Machine['assumptions'] }>();
  private readonly stars: { index: number; module: ModuleScope }[] = [];

  /** `builtIn`: of a package whose source is part of this program, which holds only what is most used of it. */
  constructor(readonly name: string, readonly file: string, readonly isPackage: boolean, readonly chunks: readonly Chunk[], readonly builtIn = false) {
    this.states = chunks.map(() => 'waiting');
    chunks.forEach((chunk, index) => {
      for (const bound of chunk.names) {
        if (bound === '*') { this.starImports.push(index); continue; }
        const known = this.binders.get(bound);
        if (known) known.push(index); else this.binders.set(bound, [index]);
      }
    });
  }

  /** Dotted name of the package that relative imports start from. */
  get package(): string { return this.isPackage ? this.name : this.name.slice(0, Math.max(0, this.name.lastIndexOf('.'))); }

  /** Value of a global, as a statement at `limit` sees it. Undefined when the module does not bind it. */
  lookup(machine: Machine, name: string, limit = Infinity): Value | undefined {
    for (const index of this.binders.get(name) ?? []) if (index < limit) this.run(machine, index);
    const found = this.latest(name, limit);
    if (found !== undefined) return found;
    for (const index of this.starImports) if (index < limit) this.run(machine, index);
    const again = this.latest(name, limit);
    if (again !== undefined) return again;
    for (let i = this.stars.length - 1; i >= 0; i--) {
      const { index, module } = this.stars[i]!;
      if (index >= limit || module === this) continue;
      const value = machine.guardCycle(`${module.file}\0${name}`, () => (module.exports(machine, name) ? module.lookup(machine, name) : undefined));
      if (value !== undefined) return value;
    }
    if (name === '__name__') return this.name;
    if (name === '__file__') return this.file;
    return undefined;
  }

  bind(name: string, value: Value, index: number): void {
    if (value instanceof PyDict) value.boundTo ??= name;
    const known = this.bindings.get(name);
    if (known) { known.push({ index, value }); known.sort((a, b) => a.index - b.index); } else this.bindings.set(name, [{ index, value }]);
  }
  addStar(module: ModuleScope, index: number): void { this.stars.push({ index, module }); }

  /** Runs what may register things elsewhere and has not run; with `mention`, only what has that text in it. True when something ran. */
  runEffects(machine: Machine, mention: string | null): boolean {
    let ran = false;
    this.chunks.forEach((chunk, index) => {
      if (!chunk.hasEffect || this.states[index] !== 'waiting' || (mention !== null && !chunk.mentions(mention))) return;
      ran = true;
      this.run(machine, index);
    });
    return ran;
  }

  /** Whether something in it stores items under this name. */
  fills(name: string): boolean { return this.chunks.some((chunk) => chunk.fills.has(name)); }

  /** Whether a class at its top level derives from one of this name, judged by the text alone. */
  derives(name: string): boolean {
    return this.chunks.some((chunk) => chunk.mentions(name.toLowerCase()) && chunk.statements().some((node) => node.kind === 'class'
      && node.bases.some(({ value }) => (value.kind === 'name' || value.kind === 'attribute') && value.name === name)));
  }

  /** Names bound at the top level, without running anything. */
  boundNames(): Iterable<string> { return this.binders.keys(); }

  private exports(machine: Machine, name: string): boolean {
    if (this.binders.has('__all__')) {
      const all = machine.plain(this.lookup(machine, '__all__') ?? null);
      if (Array.isArray(all)) return all.includes(name);
    }
    return !name.startsWith('_');
  }

  private latest(name: string, limit: number): Value | undefined {
    const known = this.bindings.get(name);
    if (!known) return undefined;
    for (let i = known.length - 1; i >= 0; i--) if (known[i]!.index < limit || known[i]!.index === Infinity) return known[i]!.value;
    return undefined;
  }

  private run(machine: Machine, index: number): void {
    if (this.states[index] === 'done') {
      const said = this.said.get(index);
      if (said) { said.notes.forEach((note) => machine.note(note)); said.assumptions.forEach(({ text, span }) => machine.assume(text, span)); }
      return;
    }
    if (this.states[index] !== 'waiting') return;
    this.states[index] = 'running';
    const environment = new Environment(this, null, 'module', index);
    const [notes, assumptions] = [machine.notes.length, machine.assumptions.length];
    machine.runTopLevel(this.chunks[index]!, environment);
    if (machine.notes.length > notes || machine.assumptions.length > assumptions) this.said.set(index, { notes: machine.notes.slice(notes), assumptions: machine.assumptions.slice(assumptions) });
    for (const [name, value] of environment.variables) this.bind(name, value, index);
    this.states[index] = 'done';
  }
}
