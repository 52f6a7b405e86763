/** The Python files of a workspace: kept parsed, resolved by import name, evaluated on demand and cached by content. */
import path from 'node:path';
import type { ModuleTree, RootCandidate, SourceSpan } from './module-tree';
import { spanOf } from './syntax/ast';
import { compareLayouts, moveSpans, type FileMove } from './reuse';
import { Reading, recordReading, SourceFile, type Layout, type TextChange } from './syntax/source-file';
import { BoundMethod, Instance, PyClass, PyFunction, type Value } from './values/values';
import { getAttribute } from './evaluation/attributes';
import { callValue } from './evaluation/calls';
import { initialize } from './evaluation/classes';
import { BudgetExceeded, Machine, PyRaise, type ModuleFinder } from './evaluation/machine';
import { ModuleScope } from './evaluation/scope';
import type { TracePort } from './evaluation/trace-port';
import { isModuleClass } from './library/types';
import { rootArguments } from './arguments';
import { BUILT_IN, builtInPackages, builtInSource } from './built-in';
import { findCandidates } from './candidates';
import { TreeMaker } from './tree';

export interface PythonHost {
  /** Text of a file, or null when there is none. */
  readFile(path: string): string | null;
  /** Absolute paths of the workspace folders. */
  roots(): readonly string[];
}

/** A file as a result saw it; without a layout it was not there. */
interface Seen { readonly version: number; readonly layout: Layout | null }
/** Configuration files by their paths, with what was in them; null for those that were not there. */
type DataFiles = ReadonlyMap<string, string | null>;
interface Cached<T> { readonly value: T; readonly depends: ReadonlyMap<string, Seen>; readonly data: DataFiles; readonly reading: Reading }

/** What is read as data: text formats of configurations, small as those are. */
const DATA_FILE = /\.(?:ya?ml|json|cfg|conf|ini|toml|txt|names|data)$/i;
const MAX_DATA = 2 ** 20;
const MAX_DATA_FILES = 64;

/** Unopened files kept parsed at most; beyond it the longest unused go. */
const MAX_KEPT = 400;
const MAX_RESULTS = 64;
/** Running forward takes more than building. */
const TRACE_STEPS = 12_000_000;

export class PythonWorkspace {
  private readonly sources = new Map<string, { source: SourceFile; version: number; open: boolean; stale: boolean }>();
  private readonly absent = new Set<string>();
  private readonly trees = new Map<string, Cached<ModuleTree>>();
  private readonly candidates = new Map<string, Cached<RootCandidate[]>>();
  private versions = 0;
  /** Modules evaluated so far, for as long as the files they came from are what they were. */
  private session: Session | null = null;
  /** While {@link following}: what is read. */
  private reads: { readonly sources: Map<string, number>; readonly data: Map<string, string | null> } | null = null;

  constructor(private readonly host: PythonHost) {}

  /** The editor's text counts from now on. */
  open(file: string, text: string): void {
    this.absent.delete(file);
    const known = this.sources.get(file);
    if (known && known.source.text === text) { known.open = true; known.stale = false; return; }
    known?.source.dispose();
    this.sources.set(file, { source: new SourceFile(file, text), version: ++this.versions, open: true, stale: false });
  }

  /** Applies incremental changes in order, or replaces the whole text. */
  change(file: string, change: string | readonly TextChange[]): void {
    const known = this.sources.get(file);
    if (!known) { if (typeof change === 'string') this.open(file, change); return; }
    known.source.change(typeof change === 'string' ? [{ text: change }] : change);
    known.version = ++this.versions;
  }

  /** The file on disk counts again. */
  close(file: string): void {
    const known = this.sources.get(file);
    if (known) { known.open = false; known.stale = true; }
  }

  /** The file changed, appeared or vanished on disk. */
  invalidate(file: string): void {
    this.absent.delete(file);
    const known = this.sources.get(file);
    if (known && !known.open) known.stale = true;
  }

  /** What in the file can be the root of a module tree; empty when there is no such file. Never throws. */
  rootCandidates(file: string): RootCandidate[] {
    return this.cached(this.candidates, file, (session) => {
      const module = session.load(file);
      return module ? inMachine(session, (machine) => findCandidates(machine, module)) : [];
    });
  }

  /** The candidate (class or function) whose definition contains the zero-based line. */
  classAt(file: string, line: number): RootCandidate | null {
    return this.rootCandidates(file).find((candidate) => candidate.kind !== 'instance' && candidate.span.startLine <= line && line <= candidate.span.endLine) ?? null;
  }

  /**
   * The module tree of a class, factory function or instance of the file. `args` are constructor arguments by name;
   * what is not given takes its default. Never throws: what is not known says so in the tree.
   */
  buildTree(file: string, name: string, args: Readonly<Record<string, unknown>> = {}): ModuleTree {
    return this.cached(this.trees, `${file}\0${name}\0${JSON.stringify(args)}`, (session) => inMachine(session, (machine) => evaluateRoot(machine, session, file, name, args)));
  }

  /**
   * Builds a root with a tracer at work and hands it on. Nothing is kept: modules are evaluated afresh, because what a tracer
   * leaves in their globals is of one graph.
   */
  withTracer<T>(file: string, name: string, args: Readonly<Record<string, unknown>>, tracer: TracePort, work: (machine: Machine, value: Value) => T): T {
    const session = new Session(this);
    const machine = new Machine(session, TRACE_STEPS);
    machine.tracer = tracer;
    tracer.machine = machine;
    return work(machine, buildRoot(machine, session, file, name, args).value);
  }

  /** Runs `work`; `unchanged` says whether everything that it read, or looked for, is still what it was. */
  following<T>(work: () => T): { readonly value: T; readonly unchanged: () => boolean } {
    const reads = { sources: new Map<string, number>(), data: new Map<string, string | null>() };
    const roots = this.roots().join('\0');
    const outer = this.reads;
    this.reads = reads;
    try {
      const value = work();
      return {
        value, unchanged: () => roots === this.roots().join('\0') && [...reads.data].every(([file, text]) => this.data(file) === text)
          && [...reads.sources].every(([file, version]) => (this.source(file)?.version ?? -1) === version),
      };
    } finally { this.reads = outer; }
  }

  dispose(): void {
    for (const { source } of this.sources.values()) source.dispose();
    this.sources.clear();
    this.session = null;
    this.trees.clear();
    this.candidates.clear();
  }

  /** @internal The file as it is now, or null. */
  source(file: string): { source: SourceFile; version: number } | null {
    const found = this.current(file);
    this.reads?.sources.set(file, found?.version ?? -1);
    return found;
  }
  private current(file: string): { source: SourceFile; version: number } | null {
    const known = this.sources.get(file);
    if (known && !known.stale) return known;
    if (!known && this.absent.has(file)) return null;
    const text = isInside(file, builtInPackages()) ? builtInSource(file) : this.host.readFile(file);
    if (known && text === known.source.text) { known.stale = false; return known; }
    known?.source.dispose();
    this.sources.delete(file);
    if (text === null) { this.absent.add(file); return null; }
    const made = { source: new SourceFile(file, text), version: ++this.versions, open: false, stale: false };
    this.sources.set(file, made);
    return made;
  }
  /** @internal */
  roots(): readonly string[] { return this.host.roots(); }
  /** @internal Text of a configuration file as it is now, or null. */
  data(file: string): string | null {
    const text = this.host.readFile(file);
    const found = text !== null && text.length <= MAX_DATA ? text : null;
    this.reads?.data.set(file, found);
    return found;
  }

  private cached<T>(cache: Map<string, Cached<T>>, key: string, make: (session: Session) => T): T {
    const known = cache.get(key);
    const kept = known && this.stillRight(known);
    if (kept) { if (kept !== known) cache.set(key, kept); return kept.value; }
    // A file of models is asked for dozens of trees in a row: its modules' top levels need not run for each.
    const session = this.session?.usable() ? this.session : new Session(this);
    this.session = session;
    const reading = new Reading();
    const value = recordReading(reading, () => make(session));
    cache.delete(key);
    cache.set(key, { value, depends: new Map(session.depends), data: new Map(session.data), reading: session.reading.and(reading) });
    if (cache.size > MAX_RESULTS) cache.delete(cache.keys().next().value!);
    this.trim(session);
    return value;
  }

  /** The result as it would be made now, when what it was made from is still there; else null. */
  private stillRight<T>(known: Cached<T>): Cached<T> | null {
    const changed: [string, Seen][] = [];
    for (const [file, text] of known.data) if (this.data(file) !== text) return null;
    for (const [file, { version, layout }] of known.depends) {
      const now = this.source(file);
      if ((now?.version ?? -1) === version) continue;
      if (!now || !layout) return null;
      changed.push([file, { version: now.version, layout: now.source.layout() }]);
    }
    if (changed.length === 0) return known;
    const moves = new Map<string, NonNullable<FileMove>>();
    for (const [file, { layout }] of changed) {
      const compared = compareLayouts(known.depends.get(file)!.layout!, layout!, known.reading);
      if (!compared) return null;
      if (compared.move) moves.set(file, compared.move);
    }
    return { value: moves.size > 0 ? moveSpans(known.value, moves) : known.value, depends: new Map([...known.depends, ...changed]), data: known.data, reading: known.reading };
  }

  private trim(session: Session): void {
    let excess = this.sources.size - MAX_KEPT;
    for (const [file, { source, open }] of this.sources) {
      if (excess <= 0) return;
      if (open || session.depends.has(file)) continue;
      source.dispose();
      this.sources.delete(file);
      excess -= 1;
    }
  }
}

/** A view of the workspace at one moment: modules made once, and what they were read from. */
class Session implements ModuleFinder {
  /** Every file that was read as it was then; version -1 for those that were looked for and not there. */
  readonly depends = new Map<string, Seen>();
  /** Configuration files that code in it opened. */
  readonly data = new Map<string, string | null>();
  private readonly modules = new Map<string, ModuleScope>();
  private readonly packageHomes = new Map<string, string>();
  /** What the top levels of its modules read. */
  readonly reading = new Reading();
  private readonly roots: string;
  private spoilt = false;

  constructor(private readonly workspace: PythonWorkspace) { this.roots = workspace.roots().join('\0'); }

  /** Are its modules still what the files say, and nothing in them changed? */
  usable(): boolean {
    if (this.spoilt || this.roots !== this.workspace.roots().join('\0')) return false;
    for (const [file, { version }] of this.depends) if ((this.workspace.source(file)?.version ?? -1) !== version) return false;
    for (const [file, text] of this.data) if (this.workspace.data(file) !== text) return false;
    return true;
  }
  spoil(): void { this.spoilt = true; }
  readTopLevel<T>(work: () => T): T { return recordReading(this.reading, work); }

  load(file: string): ModuleScope | undefined {
    const known = this.modules.get(file);
    if (known) return known;
    const found = this.workspace.source(file);
    this.depends.set(file, { version: found?.version ?? -1, layout: found?.source.layout() ?? null });
    if (!found) return undefined;
    const made = new ModuleScope(this.nameOf(file), file, path.basename(file) === '__init__.py', found.source.chunks(), isInside(file, builtInPackages()));
    this.modules.set(file, made);
    return made;
  }

  loaded(): Iterable<ModuleScope> { return this.modules.values(); }

  find(name: string, from: ModuleScope | null): ModuleScope | undefined {
    const parts = name.split('.');
    for (const base of this.searchPath(from, parts[0]!)) {
      const found = this.at(path.join(base, ...parts));
      if (found) return found;
    }
    return undefined;
  }

  readText(name: string, from: string | undefined): { file: string; text: string } | undefined {
    if (!DATA_FILE.test(name)) return undefined;
    const roots = this.workspace.roots();
    const root = from === undefined ? undefined : rootOf(from, roots);
    const folders = [...(from === undefined ? [] : foldersUp(from, root!)), ...roots];
    const places = path.isAbsolute(name) ? [path.normalize(name)] : folders.map((folder) => path.join(folder, name));
    for (const file of new Set(places)) {
      // Code may name any file of the machine: only the workspace's own are looked at.
      if (![...roots, ...(root === undefined ? [] : [root])].some((folder) => isInside(file, folder))) continue;
      let text = this.data.get(file);
      if (text === undefined) {
        if (this.data.size >= MAX_DATA_FILES) return undefined;
        text = this.workspace.data(file);
        this.data.set(file, text);
      }
      if (text !== null) return { file, text };
    }
    return undefined;
  }

  submodule(parent: ModuleScope, name: string): ModuleScope | undefined {
    return parent.isPackage ? this.at(path.join(path.dirname(parent.file), name)) : undefined;
  }

  private at(base: string): ModuleScope | undefined { return this.load(path.join(base, '__init__.py')) ?? this.load(`${base}.py`); }

  /** Folders an import is looked up in: the importing file's own and those above it up to a root, then the roots. */
  private searchPath(from: ModuleScope | null, top: string): string[] {
    const roots = this.workspace.roots();
    const folders: string[] = [];
    if (from) {
      const root = rootOf(from.file, roots);
      folders.push(...foldersUp(from.file, root));
      // Inside a package the folders are not on Python's path: the outermost come first.
      if (this.workspace.source(path.join(path.dirname(from.file), '__init__.py'))) folders.reverse();
    }
    const homes = from ? [this.packageHome(from.file)] : [...this.packageHomes.values()];
    return [...new Set([...folders, ...roots, ...roots.map((root) => path.join(root, 'src')), ...homes.filter((home) => this.holdsRoot(home, top)), ...(BUILT_IN.has(top) ? [builtInPackages()] : [])])];
  }

  /** True when the package of that name is the one a root lies in: what is installed beside it is not of the workspace. */
  private holdsRoot(home: string, top: string): boolean {
    const folder = path.join(home, top);
    return [...this.packageHomes].some(([root, known]) => known === home && (root === folder || root.startsWith(folder + path.sep)));
  }

  /**
   * The folder that dotted names of a file start from: its root, or, where the root lies inside a package (an installed
   * one opened by itself), the folder that holds the outermost package. Relative imports may go up to there.
   */
  private packageHome(file: string): string {
    const root = rootOf(file, this.workspace.roots());
    const known = this.packageHomes.get(root);
    if (known !== undefined) return known;
    let home = root;
    while (home !== path.dirname(home) && this.exists(path.join(home, '__init__.py'))) home = path.dirname(home);
    this.packageHomes.set(root, home);
    return home;
  }

  private exists(file: string): boolean {
    const found = this.workspace.source(file);
    if (!this.depends.has(file)) this.depends.set(file, { version: found?.version ?? -1, layout: found?.source.layout() ?? null });
    return found !== null;
  }

  private nameOf(file: string): string {
    const root = isInside(file, builtInPackages()) ? builtInPackages() : this.packageHome(file);
    const relative = path.relative(root, file).replace(/\.pyi?$/, '').replace(/(^|[\\/])__init__$/, '');
    return relative.split(/[\\/]/).filter((part) => part !== '' && part !== '..').join('.');
  }
}

/** The file's folder and those above it up to the root. */
function foldersUp(file: string, root: string): string[] {
  const folders: string[] = [];
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    folders.push(folder);
    if (folder === root || folder === path.dirname(folder) || folders.length > 32) return folders;
  }
}
const isInside = (file: string, folder: string): boolean => file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);

/** The innermost root that holds the file, else the file's folder. */
function rootOf(file: string, roots: readonly string[]): string {
  const holding = roots.filter((root) => file.startsWith(root.endsWith(path.sep) ? root : root + path.sep));
  return holding.sort((a, b) => b.length - a.length)[0] ?? path.dirname(file);
}

const NOWHERE = (file: string) => ({ file, startLine: 0, startColumn: 0, endLine: 0, endColumn: 0 });

/** One evaluation that leaves the session's modules as they were. */
function inMachine<T>(session: Session, work: (machine: Machine) => T): T {
  const machine = new Machine(session);
  return machine.apart(() => work(machine));
}

function evaluateRoot(machine: Machine, session: Session, file: string, name: string, args: Readonly<Record<string, unknown>>): ModuleTree {
  const { value, span } = buildRoot(machine, session, file, name, args);
  const maker = new TreeMaker(machine);
  const root = maker.root(value, name, span);
  return { root, unknowns: machine.notes, assumptions: machine.assumptions, files: [...session.depends].filter(([, { version }]) => version >= 0).map(([path_]) => path_) };
}

function buildRoot(machine: Machine, session: Session, file: string, name: string, args: Readonly<Record<string, unknown>>): { value: Value; span: SourceSpan } {
  const module = session.load(file);
  let span = NOWHERE(file);
  let value: Value = machine.unknown(module ? `${name} is not defined in this file` : 'the file cannot be read', span);
  if (module) {
    try {
      const [first, ...rest] = name.split('.');
      let target: Value = module.lookup(machine, first!) ?? value;
      for (const part of rest) target = getAttribute(machine, target, part);
      value = target;
      if (target instanceof PyClass) {
        span = target.span ?? span;
        // The instance is kept at hand: when its constructor cannot be run to the end, what it registered is still known.
        const made = new Instance(target, span);
        if (isModuleClass(target) || target.unknownBase) value = made;
        value = buildClass(machine, target, made, rootArguments(machine, target, args));
      } else if (target instanceof PyFunction) {
        span = spanOf(target.definition);
        value = machine.unknown(`${name} could not be evaluated`, span);
        value = callValue(machine, target, rootArguments(machine, target, args), span);
      } else if (target instanceof BoundMethod && target.callee instanceof PyFunction) {
        // `Net.from_name`: the class comes first, and is not given.
        span = spanOf(target.callee.definition);
        value = machine.unknown(`${name} could not be evaluated`, span);
        const { positional, keywords } = rootArguments(machine, target.callee, args);
        const [self] = target.callee.definition.parameters;
        value = callValue(machine, target, { positional, keywords: new Map([...keywords].filter(([key]) => key !== self?.name)) }, span);
      }
    } catch (error) { value = failed(machine, error, value); }
  }
  return { value, span };
}

/** Runs the constructor on an instance that the caller keeps. */
function buildClass(machine: Machine, cls: PyClass, made: Instance, args: Parameters<typeof callValue>[2]): Value {
  const init = cls.lookup('__init__');
  if (cls.native.construct || cls.lookup('__new__') !== undefined || !(init instanceof PyFunction)) return callValue(machine, cls, args, made.span);
  made.arguments = args.keywords;
  try { return machine.call(() => initialize(machine, made, args)); } catch (error) { return failed(machine, error, made); }
}
/** What remains when evaluation stops early: the value so far, marked. */
function failed(machine: Machine, error: unknown, value: Value): Value {
  const why = error instanceof BudgetExceeded || error instanceof RangeError
    ? machine.unknown(error instanceof BudgetExceeded && error.kind === 'steps' ? 'evaluation budget: the constructor takes too many steps to be evaluated' : 'evaluation budget: the calls recurse too deep to be evaluated', error instanceof BudgetExceeded ? error.span : undefined)
    : error instanceof PyRaise ? machine.unknown(`the constructor raises ${error.type}${error.detail ? `(${error.detail})` : ''}`, error.span)
    : machine.unknown(`the source could not be evaluated: ${error instanceof Error ? error.message : String(error)}`);
  machine.note(why);
  if (!(value instanceof Instance)) return why;
  value.unknown = why;
  return value;
}
