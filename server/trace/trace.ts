/** Traces a model: builds its root, runs forward symbolically, and gives the graph with what there is to say about it. */
import type { Graph } from '../../kernels/graph/graph';
import type { OnnxType } from '../../kernels/graph/onnx-types';
import { FLOAT_DTYPES, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { SourceSpan } from '../python/module-tree';
import { BudgetExceeded, PyRaise, type Machine } from '../python/evaluation/machine';
import { callValue } from '../python/evaluation/calls';
import { walkModules } from '../python/library/nn-module';
import { isModule } from '../python/library/types';
import { Choice, Instance, PyDict, PyFunction, PyList, PyTuple, Tensor, UnknownValue, type TracedValue, type Value } from '../python/values/values';
import { freeSize, TooComplex, type Whole } from '../python/values/symbolic';
import type { PythonWorkspace } from '../python/workspace';
import { inputCandidates, plainArguments, type InputSpec } from './inputs';
import type { ExpressionShape } from './shapes';
import { MustBeFixed, TraceStop } from './stop';
import { Tracer, type NamedTensor } from './tracer';

export interface TraceRequest {
  readonly file: string;
  readonly root: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** Names in state_dict to tensors of the checkpoint; null when there is none: weights are then known by name and shape only. */
  readonly tensors: ReadonlyMap<string, TensorInfo> | null;
  /** Inputs as the user gives them, in the order of forward's parameters, or by name. */
  readonly inputs?: readonly InputSpec[];
  /** Shapes of the data that the model is run on, if known: the first dimension is the batch. */
  readonly data?: { readonly shape: readonly number[]; readonly whole: boolean };
}
export interface TraceEnd {
  readonly reason: string;
  readonly span?: SourceSpan;
  /** There is no forward to follow: nothing is wrong with a line of it. */
  readonly noForward?: true;
}
export interface TraceResult {
  readonly graph: Graph;
  readonly inputs: readonly InputSpec[];
  /** Paths of modules whose forward ran to its end. */
  readonly reached: readonly string[];
  /** Where and why it ended early; null when it is complete. */
  readonly stopped: TraceEnd | null;
  /** What had to be taken for granted: sizes that were fixed, comparisons decided by an example. */
  readonly assumptions: readonly string[];
  /** What the expressions of forward are; empty where nothing was followed. */
  readonly shapes: readonly ExpressionShape[];
}

/** Example values of free dimensions: numbers that hardly any model has as a size. */
const HINTS: Readonly<Record<string, number>> = { batch: 3, sequence: 22, height: 224, width: 224, length: 1024 };
const MAX_FIXES = 6;
const MAX_CANDIDATES = 40;
const MAX_SAME_ENDS = 4;

/** Never throws for what is in the source: what cannot be traced is in `stopped`. */
export function traceModel(workspace: PythonWorkspace, request: TraceRequest): TraceResult {
  const candidates = request.inputs ? [request.inputs] : null;
  let best: TraceResult | null = null;
  /** How often a place was where the trace ended, for the same reason: what shape the input has does not matter there. */
  const ends = new Map<string, number>();
  let list: readonly (readonly InputSpec[])[] | null = candidates;
  for (let i = 0; list === null || i < Math.min(list.length, MAX_CANDIDATES); i += 1) {
    if (list === null) {
      const found = findCandidates(workspace, request);
      if ('stopped' in found) return found;
      list = found;
      if (list.length === 0) return ended('forward takes no tensor');
    }
    const made = traceWith(workspace, request, list[i]!);
    if (best === null || better(made, best)) best = made;
    if (best.stopped === null) break;
    const end = `${made.stopped?.reason ?? ''} ${made.stopped?.span?.startLine ?? ''} ${String(list[i]![0]?.shape.length)}`;
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (ends.get(end)! >= MAX_SAME_ENDS) break;
  }
  return best ?? ended('forward takes no tensor');
}
const ended = (reason: string, span?: SourceSpan, noForward = false): TraceResult => ({ graph: { name: 'model', opset: 20, inputs: [], outputs: [], nodes: [], initializers: [] }, inputs: [], reached: [], stopped: { reason, ...(span ? { span } : {}), ...(noForward ? { noForward } : {}) }, assumptions: [], shapes: [] });
const better = (a: TraceResult, b: TraceResult): boolean => (a.stopped === null) !== (b.stopped === null) ? a.stopped === null : a.reached.length > b.reached.length || (a.reached.length === b.reached.length && a.graph.nodes.length > b.graph.nodes.length);

function findCandidates(workspace: PythonWorkspace, request: TraceRequest): readonly (readonly InputSpec[])[] | TraceResult {
  const tracer = new Tracer();
  try {
    return workspace.withTracer(request.file, request.root, request.args ?? {}, tracer, (machine, value) => {
      const root = rootOf(value);
      if (typeof root === 'string') return ended(root);
      if (!tracer.hasForward(root.cls)) return ended(`${root.cls.name} has no forward`, root.cls.span ?? undefined, true);
      return inputCandidates(machine, root, request.data ?? null);
    });
  } catch (error) { return ended(...reasonOf(error)); }
}

function rootOf(value: Value): Instance | string {
  const only = value instanceof Choice ? value.options.find((option): option is Instance => option instanceof Instance && isModule(option)) : value;
  if (only instanceof Instance && isModule(only)) return only.unknown && /^(the constructor|the source could not|evaluation budget)/.test(only.unknown.reason) ? only.unknown.reason : only;
  return value instanceof UnknownValue ? value.reason : 'the root is no nn.Module';
}

/** Traces with these inputs; a free dimension that must be a number becomes one. */
function traceWith(workspace: PythonWorkspace, request: TraceRequest, inputs: readonly InputSpec[]): TraceResult {
  let specs = inputs;
  const fixed: string[] = [];
  for (let attempt = 0; ; attempt += 1) {
    const made = traceOnce(workspace, request, specs, fixed);
    if (!(made instanceof MustBeFixed)) return made;
    if (attempt >= MAX_FIXES || !specs.some(({ shape }) => shape.includes(made.dimension))) return { ...ended(made.message), inputs: specs };
    fixed.push(`${made.dimension} = ${made.size} (${made.reason})`);
    specs = specs.map((spec) => ({ ...spec, shape: spec.shape.map((dim) => (dim === made.dimension ? made.size : dim)) }));
  }
}

function traceOnce(workspace: PythonWorkspace, request: TraceRequest, specs: readonly InputSpec[], fixed: readonly string[]): TraceResult | MustBeFixed {
  const tracer = new Tracer();
  let stopped: TraceEnd | null = null;
  let outputs: { name: string; value: TracedValue }[];
  tracer.freeHints.clear();
  for (const [name, hint] of Object.entries(HINTS)) tracer.freeHints.set(name, hint);
  try {
    outputs = workspace.withTracer(request.file, request.root, request.args ?? {}, tracer, (machine, value) => {
      const root = rootOf(value);
      if (typeof root === 'string') return tracer.stop(root);
      prepare(tracer, root, request.tensors);
      return runForward(tracer, machine, root, specs);
    });
  } catch (error) {
    if (error instanceof MustBeFixed) return error;
    if (error instanceof TooComplex) return new MustBeFixed(error.dimension, tracer.freeHints.get(error.dimension) ?? 19, error.message);
    const [reason, span] = reasonOf(error);
    stopped = { reason, ...(span ? { span } : {}) };
    // What was traced so far is still of use: the last values are its outputs.
    outputs = lastValues(tracer);
  }
  const name = request.root.split('.').at(-1)!;
  return { graph: tracer.builder.finish(name, outputs), inputs: specs, reached: [...tracer.reached], stopped, assumptions: [...fixed, ...tracer.guards], shapes: tracer.shapes.all() };
}
function lastValues(tracer: Tracer): { name: string; value: TracedValue }[] {
  const last = tracer.builder.last();
  return last ? [{ name: 'last', value: last }] : [];
}
function reasonOf(error: unknown): [string, SourceSpan | undefined] {
  if (error instanceof TraceStop) return [error.reason, error.span];
  if (error instanceof PyRaise) return [`the code raises ${error.type}${error.detail ? `: ${error.detail}` : ''}`, error.span];
  if (error instanceof BudgetExceeded) return [error.kind === 'steps' ? 'running forward takes too many steps to be followed' : 'the calls recurse too deep to be followed', error.span];
  if (error instanceof TooComplex) return [error.message, undefined];
  if (error instanceof RangeError) return ['the calls recurse too deep to be followed', undefined];
  throw error;
}

/** Gives names to parameters and buffers. */
function prepare(tracer: Tracer, root: Instance, tensors: TraceRequest['tensors']): void {
  tracer.endConstruction();
  const named = new Map<Tensor, NamedTensor>();
  const missing = new Map<Tensor, string>();
  const paths = new Map<Instance, string>();
  for (const { name: path, module } of walkModules(root)) {
    if (!paths.has(module)) paths.set(module, path);
    for (const kind of ['parameters', 'buffers'] as const) {
      for (const [own, value] of module[kind]) {
        const tensor = value instanceof Choice ? value.options.find((option): option is Tensor => option instanceof Tensor) : value;
        if (!(tensor instanceof Tensor) || named.has(tensor)) continue;
        if (value !== tensor) module[kind].set(own, tensor);
        tracer.settle(tensor);
        const name = path === '' ? own : `${path}.${own}`;
        const info = tensors?.get(name);
        if (info) named.set(tensor, { name, source: info.name, type: typeOf(info), shape: info.shape });
        else if (tensors === null && kind === 'parameters' && tensor.shape && !tensor.shape.includes(null)) named.set(tensor, { name, source: name, type: 'F32', shape: tensor.shape as number[] });
        else if (tensors === null && kind === 'buffers' && tensor.traced === null && !module.transient.has(own) && tensor.shape && !tensor.shape.includes(null)) named.set(tensor, { name, source: name, type: 'F32', shape: tensor.shape as number[] });
        else if (kind === 'parameters' && !missing.has(tensor)) missing.set(tensor, tensors ? `${name} is not in the checkpoint` : `the source does not tell the shape of ${name}, and there is no checkpoint that does`);
      }
    }
  }
  tracer.begin(named, missing, paths);
}
const typeOf = (info: TensorInfo): OnnxType => (FLOAT_DTYPES.has(info.dtype) || info.encoding ? 'F32' : info.dtype);

function runForward(tracer: Tracer, machine: Machine, root: Instance, specs: readonly InputSpec[]): { name: string; value: TracedValue }[] {
  const free = new Map<string, Whole>();
  const keywords = new Map<string, Value>();
  for (const spec of specs) {
    const dims = spec.shape.map((dim) => {
      if (typeof dim === 'number') return dim;
      if (!free.has(dim)) free.set(dim, freeSize(dim, tracer.freeHints.get(dim) ?? 19));
      return free.get(dim)!;
    });
    keywords.set(spec.name, tracer.builder.input(spec.name, spec.type, dims));
  }
  const result = callValue(machine, root, argumentsOf(tracer, root, keywords), root.cls.span ?? root.span);
  const found = collectOutputs(tracer, result);
  if (found.length === 0) tracer.stop(result instanceof UnknownValue ? result.reason : 'forward returns no tensor', result instanceof UnknownValue ? result.span : root.cls.span ?? undefined);
  return found;
}

/** By name where forward has parameters of those names, so that others may be left out; else in order. */
function argumentsOf(tracer: Tracer, root: Instance, inputs: ReadonlyMap<string, Value>): { positional: readonly Value[]; keywords: ReadonlyMap<string, Value> } {
  const forward = root.cls.lookup('forward');
  const named = new Set(forward instanceof PyFunction ? forward.definition.parameters.filter(({ kind }) => kind === 'normal' || kind === 'keyword').map(({ name }) => name) : []);
  if (![...inputs.keys()].every((name) => named.has(name))) return { positional: [...inputs.values()], keywords: new Map() };
  const plain = [...plainArguments(root)].filter(([name]) => !inputs.has(name));
  for (const [name, value] of plain) tracer.guard(`${name} = ${value === false ? 'False' : String(value)}`);
  return { positional: [], keywords: new Map([...inputs, ...plain]) };
}

/** Every tensor in what forward gives, named by its place. */
function collectOutputs(tracer: Tracer, value: Value): { name: string; value: TracedValue }[] {
  const found: { name: string; value: TracedValue }[] = [];
  const visit = (item: Value, name: string, depth: number): void => {
    if (depth > 6) return;
    if (item instanceof Tensor) found.push({ name: name === '' ? 'output' : name, value: tracer.read(item) });
    else if (item instanceof PyTuple) item.items.forEach((inner, i) => visit(inner, join(name, item.fields[i] ?? `output_${i}`), depth + 1));
    else if (item instanceof PyList) item.items.forEach((inner, i) => visit(inner, join(name, `output_${i}`), depth + 1));
    else if (item instanceof PyDict) for (const entry of item.entries.values()) visit(entry.value, join(name, String(entry.key)), depth + 1);
    else if (item instanceof Instance) { if (!isModule(item as Value)) for (const [key, inner] of item.attributes) visit(inner, join(name, key), depth + 1); }
    else if (item instanceof UnknownValue && depth === 0) tracer.stop(item.reason, item.span);
  };
  visit(value, '', 0);
  return found;
}
const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name.replace(/^output_/, '')}`);
