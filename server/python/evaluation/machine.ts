/**
 * The state of one evaluation: budget, call depth, open branches, what was noted. The rules of the language are in the
 * other files of this folder, which all work on a Machine.
 */
import type { SourceSpan, Unknown } from '../module-tree';
import { spanOf, type Expr, type Located } from '../syntax/ast';
import type { Chunk } from '../syntax/source-file';
import { clock } from '../values/clock';
import { Absent, Choice, Instance, PyClass, PyDict, PyFloat, PyFunction, PyList, PySet, PyTuple, UnknownValue, type Value } from '../values/values';
import { asNumber } from './iteration';
import type { Environment, ModuleScope } from './scope';
import type { TracePort } from './trace-port';
import { executeBlock, type Outcome } from './statements';

/** Something whose state a branch may change and a merge must reconcile. */
export interface Mutable {
  readonly born: number;
  snapshot(): unknown;
  restore(state: unknown): void;
  merge(states: readonly unknown[], why: UnknownValue): unknown;
}

/** A Python exception on its way up. */
export class PyRaise extends Error {
  constructor(readonly type: string, readonly detail: string, readonly span: SourceSpan | undefined) { super(`${type}: ${detail}`); }
}
/** The evaluation used up its steps or depth: nothing more is evaluated. */
export class BudgetExceeded extends Error {
  constructor(readonly span: SourceSpan | undefined, readonly kind: 'steps' | 'recursion' = 'steps') { super('evaluation budget'); }
}

/** Finds modules of the workspace. */
export interface ModuleFinder {
  /** Module of a dotted name as `from` would import it, or undefined when the workspace does not have it. */
  find(name: string, from: ModuleScope | null): ModuleScope | undefined;
  /** The submodule of a package or namespace folder. */
  submodule(parent: ModuleScope, name: string): ModuleScope | undefined;
  loaded(): Iterable<ModuleScope>;
  /** Text of a configuration file of the workspace, as code in the file `from` names it. */
  readText?(name: string, from: string | undefined): { readonly file: string; readonly text: string } | undefined;
  /** Runs a module's top level: what it reads, every evaluation that shares the modules depends on. */
  readTopLevel?<T>(work: () => T): T;
  /** Something that outlives this evaluation was changed and cannot be put back: the modules must not be used again. */
  spoil?(): void;
}

const MAX_STEPS = 2_000_000;
/** Of the steps that are left, one in so many may go into one statement at the top level: of the file itself, and of what it imports. */
const STATEMENT_SHARE = { own: 2, imported: 8 } as const;
/** Of the steps of a statement, what a statement may use that runs inside it. */
const INNER_SHARE = 7 / 8;
const MAX_DEPTH = 120;
const MAX_FORKS = 24;
const FORK_COST = 100;
const SNAPSHOT_COST = 30;

export class Machine {
  readonly assumptions: { text: string; span?: SourceSpan }[] = [];
  readonly notes: Unknown[] = [];
  private readonly noted = new Set<string>();
  private journals: Map<Mutable, unknown>[] = [];
  private readonly resolving = new Set<string>();
  private effectsRun = 0;
  /** While {@link apart}: objects older than `since`, as they were before this evaluation changed them. */
  private lent: { since: number; readonly before: Map<Mutable, unknown> } | null = null;
  /** How many module top levels are running. */
  topLevel = 0;
  steps = 0;
  depth = 0;
  /** How many loops of unknown count surround the running code. */
  loopDepth = 0;
  /** Functions being run, innermost last, with what their parameters were bound to. */
  readonly running: { readonly fn: PyFunction; readonly bound: ReadonlyMap<string, Value> }[] = [];
  /** The user's call that led into source of a built-in package: what is made there is said to be made by it. */
  entry: SourceSpan | null = null;
  /** Exception names that a running `try` would catch. */
  handlers: string[][] = [];
  /** The statement or call that runs: where a library function's result is said to come from. */
  get site(): SourceSpan | undefined { return this.place === undefined ? undefined : 'anchor' in this.place ? spanOf(this.place) : this.place; }
  set site(span: SourceSpan | undefined) { this.place = span; }
  /** Spans are made only when somebody asks. */
  place: SourceSpan | Located | undefined;

  /** Follows the values of tensors, when a model is traced. */
  tracer: TracePort | null = null;

  private readonly total: number;

  constructor(readonly finder: ModuleFinder, private maxSteps = MAX_STEPS) { this.total = maxSteps; }

  step(): void { if (++this.steps > this.maxSteps) throw new BudgetExceeded(this.site); }

  /** Runs `work` one call deeper. */
  call<T>(work: () => T): T {
    if (++this.depth > MAX_DEPTH) { this.depth -= 1; throw new BudgetExceeded(this.site, 'recursion'); }
    try { return work(); } finally { this.depth -= 1; }
  }

  unknown(reason: string, at?: Expr | SourceSpan): UnknownValue {
    return new UnknownValue(reason, at === undefined ? this.site : 'kind' in at ? spanOf(at) : at);
  }
  /** Records something not known that the result depends on, once. */
  note(why: Unknown): void {
    const key = `${why.reason}\0${why.span?.file}\0${why.span?.startLine}\0${why.span?.startColumn}`;
    if (this.noted.has(key)) return;
    this.noted.add(key);
    this.notes.push({ reason: why.reason, ...(why.span ? { span: why.span } : {}) });
  }
  assume(text: string, span?: SourceSpan): void {
    if (!this.assumptions.some((known) => known.text === text)) this.assumptions.push({ text, ...(span ? { span } : {}) });
  }

  /** Raises when a `try` around would catch it, else gives an unknown with the same words. */
  soft(type: string, detail: string, at?: Expr | SourceSpan): UnknownValue {
    const span = at === undefined ? this.site : 'kind' in at ? spanOf(at) : at;
    if (this.catches(type)) throw new PyRaise(type, detail, span);
    return new UnknownValue(detail, span);
  }
  catches(type: string): boolean {
    return this.handlers.some((types) => types.some((name) => handles(name, type)));
  }

  // ---- branches ----

  /** Must be called before `object` changes. */
  touch(object: Mutable): void {
    if (this.lent && object.born < this.lent.since) this.borrow(object, this.lent.before);
    const journal = this.journals.at(-1);
    if (!journal || journal.has(object)) return;
    this.steps += SNAPSHOT_COST;
    journal.set(object, object.snapshot());
  }
  private borrow(object: Mutable, before: Map<Mutable, unknown>): void {
    // What a top level does stays done: it does not run again.
    if (this.topLevel > 0) { if (before.has(object)) this.finder.spoil?.(); }
    else if (!before.has(object)) before.set(object, object.snapshot());
  }

  /** Says that something was changed that {@link apart} cannot put back. */
  spoil(): void { if (this.topLevel === 0) this.finder.spoil?.(); }

  /** Runs `work` and puts back what it changed of the modules' own objects, so that the next evaluation finds them as they were. */
  apart<T>(work: () => T): T {
    const lent = { since: ++clock.now, before: new Map<Mutable, unknown>() };
    this.lent = lent;
    try { return work(); } finally {
      this.lent = null;
      for (const [object, before] of lent.before) object.restore(before);
    }
  }

  get forked(): boolean { return this.journals.length > 0; }

  /**
   * Runs alternatives of which one happens, each from the same state, and merges what they leave behind.
   * An alternative that raises does not happen; when all raise, so does this.
   */
  fork<T>(alternatives: readonly (() => T)[], why: UnknownValue): T[] {
    this.tracer?.undecided(why);
    if (this.journals.length >= MAX_FORKS) throw new BudgetExceeded(this.site);
    const live: { result: T; after: Map<Mutable, unknown> }[] = [];
    const touched = new Set<Mutable>();
    let raised: PyRaise | null = null;
    const split = ++clock.now;
    for (const alternative of alternatives) {
      const journal = new Map<Mutable, unknown>();
      this.journals.push(journal);
      // Copying and merging state is what branches cost: the budget pays for it.
      this.steps += FORK_COST;
      const depth = this.depth;
      let result: { value: T } | null = null;
      try { result = { value: alternative() }; } catch (error) {
        if (!(error instanceof PyRaise)) throw error;
        raised ??= error;
        this.depth = depth;
      } finally { this.journals.pop(); }
      const after = new Map<Mutable, unknown>();
      for (const [object, before] of journal) {
        if (result) { after.set(object, object.snapshot()); touched.add(object); }
        object.restore(before);
      }
      if (result) live.push({ result: result.value, after });
    }
    if (live.length === 0) throw raised!;
    for (const object of touched) {
      const before = object.snapshot();
      const states = object.born >= split ? live.flatMap(({ after }) => (after.has(object) ? [after.get(object)] : []))
        : live.map(({ after }) => after.get(object) ?? before);
      if (object.born < split) this.touch(object);
      object.restore(states.length === 1 ? states[0] : object.merge(states, why));
    }
    return live.map(({ result }) => result);
  }

  /** Runs `work` and takes back everything it did; gives the objects it changed with their state before and after. */
  rehearse(work: () => void): { object: Mutable; before: unknown; after: unknown }[] {
    const journal = new Map<Mutable, unknown>();
    this.journals.push(journal);
    const depth = this.depth;
    try { work(); } catch (error) { if (!(error instanceof PyRaise)) throw error; this.depth = depth; } finally { this.journals.pop(); }
    return [...journal].map(([object, before]) => { const after = object.snapshot(); object.restore(before); return { object, before, after }; });
  }

  // ---- modules ----

  runTopLevel(chunk: Chunk, environment: Environment): void {
    const saved = { journals: this.journals, handlers: this.handlers, loopDepth: this.loopDepth, place: this.place, depth: this.depth };
    this.journals = []; this.handlers = []; this.loopDepth = 0;
    this.topLevel += 1;
    const { maxSteps } = this;
    // One costly table somewhere in a package must not use up what the model itself needs. The share is one of the whole: a long
    // chain of imports, each inside the statement of another, must not get less and less; the outer ones keep a little.
    const share = (this.total - this.steps) / (saved.depth === 0 ? STATEMENT_SHARE.own : STATEMENT_SHARE.imported);
    this.maxSteps = this.steps + Math.floor(Math.min(share, (maxSteps - this.steps) * INNER_SHARE));
    const run = (): Outcome => this.call(() => executeBlock(this, chunk.statements(), environment));
    try {
      if (this.finder.readTopLevel) this.finder.readTopLevel(run); else run();
    } catch (error) {
      if (!(error instanceof PyRaise)) {
        // Cut short in the middle: another evaluation has to begin afresh.
        this.finder.spoil?.();
        if (!(error instanceof BudgetExceeded) || error.kind !== 'steps') throw error;
      }
      const reason = this.unknown(error instanceof PyRaise ? `${error.type}: ${error.detail}` : 'evaluation budget: the statement takes too many steps to be evaluated', error.span);
      for (const name of chunk.names) if (name !== '*' && !environment.variables.has(name)) environment.variables.set(name, reason);
    } finally {
      Object.assign(this, saved);
      this.topLevel -= 1;
      this.maxSteps = maxSteps;
      // What the top level made is the module's: from here on it is older than this evaluation.
      if (this.topLevel === 0 && this.lent) this.lent.since = ++clock.now;
    }
  }

  /**
   * The item of a registry that decorators elsewhere may fill: runs pending registrations of the loaded modules, one module
   * after the other, until there is one under the key. First those that mention the key; the others only for a dict that
   * began empty or whose name something stores items under: looking for what a table does not have costs most.
   */
  registered(registry: PyDict, key: Value): Value | undefined {
    const known = registry.get(key);
    if (known !== undefined || !registry.registry) return known;
    if (typeof key === 'string' && this.runEffects(registry, key, key.toLowerCase())) return registry.get(key);
    return this.mayBeFilled(registry) && this.runEffects(registry, key, null) ? registry.get(key) : undefined;
  }

  private mayBeFilled({ beganEmpty, boundTo }: PyDict): boolean {
    return beganEmpty || (boundTo !== null && [...this.finder.loaded()].some((module) => module.fills(boundTo)));
  }

  private runEffects(registry: PyDict, key: Value, mention: string | null): boolean {
    if (mention === null && this.effectsRun > 8) return false;
    for (let round = 0; round < 20; round++) {
      let again = false;
      for (const module of [...this.finder.loaded()]) {
        if (!module.runEffects(this, mention)) continue;
        again = true;
        if (registry.get(key) !== undefined) return true;
      }
      if (!again) break;
    }
    if (mention === null) this.effectsRun += 1;
    return false;
  }

  /** A dict of Python's own making, marked as a possible registry when it is global. */
  dict(pairs: Iterable<readonly [Value, Value]> = []): PyDict {
    const made = new PyDict(pairs);
    made.registry = this.topLevel > 0;
    made.beganEmpty = made.entries.size === 0;
    return made;
  }

  /** Runs `work` unless it is already running with the same key (two modules that star-import each other). */
  guardCycle<T>(key: string, work: () => T): T | undefined {
    if (this.resolving.has(key)) return undefined;
    this.resolving.add(key);
    try { return work(); } finally { this.resolving.delete(key); }
  }

  // ---- plain values ----

  /** The value as JSON; `undefined` where it is not known. Modules and other objects stay what they are: opaque handles. */
  plain(value: Value): unknown {
    if (value === null || typeof value !== 'object') return value;
    if (value instanceof PyFloat) return value.value;
    if (value instanceof PyTuple) return value.items.map((item) => this.plain(item));
    if (value instanceof PyList) return value.rest === undefined ? value.items.map((item) => this.plain(item)) : undefined;
    if (value instanceof PySet) return value.open ? undefined : [...value.items.values()].map((item) => this.plain(item));
    if (value instanceof PyDict) {
      if (value.rest !== undefined) return undefined;
      const result = Object.create(null) as Record<string, unknown>;
      for (const entry of value.entries.values()) result[String(this.plain(entry.key))] = this.plain(entry.value);
      return result;
    }
    if (value instanceof UnknownValue || value instanceof Choice || value instanceof Absent) return undefined;
    return value instanceof Instance ? asNumber(value) ?? value : value;
  }

  /** As {@link plain}, for showing: objects that are not data are left out, classes become their names. */
  json(value: Value, depth = 0): unknown {
    if (value instanceof PyClass) return value.qualifiedName;
    if (value instanceof PyFunction) return value.name;
    if (value instanceof Instance || depth > 4) return undefined;
    if (value instanceof PyTuple || value instanceof PyList) {
      if (value instanceof PyList && value.rest !== undefined) return undefined;
      const items = value.items.map((item) => this.json(item, depth + 1));
      return items.some((item) => item === undefined) ? undefined : items;
    }
    if (value instanceof PyDict) {
      if (value.rest !== undefined) return undefined;
      const pairs = [...value.entries.values()].map((entry) => [String(entry.key), this.json(entry.value, depth + 1)] as const);
      return pairs.some(([, item]) => item === undefined) ? undefined : Object.fromEntries(pairs);
    }
    const plain = this.plain(value);
    return typeof plain === 'object' && plain !== null && !Array.isArray(plain) ? undefined : plain;
  }
}

const PARENTS: Readonly<Record<string, string>> = {
  ModuleNotFoundError: 'ImportError', KeyError: 'LookupError', IndexError: 'LookupError', ZeroDivisionError: 'ArithmeticError',
  NotImplementedError: 'RuntimeError', FileNotFoundError: 'OSError', UnicodeDecodeError: 'ValueError',
};
/** Whether `except handler` catches an exception of this type. */
export function handles(handler: string, type: string): boolean {
  if (handler === 'Exception' || handler === 'BaseException') return true;
  for (let name: string | undefined = type; name; name = PARENTS[name]) if (name === handler.split('.').at(-1)) return true;
  return false;
}

export type { Outcome };
