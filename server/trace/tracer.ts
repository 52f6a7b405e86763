/** Follows tensors through the interpreter: each operation on one becomes nodes of a graph. */
import type { OnnxType } from '../../kernels/graph/onnx-types';
import { callFunction } from '../python/evaluation/calls';
import { asNumber } from '../python/evaluation/iteration';
import type { Machine } from '../python/evaluation/machine';
import type { TracePort } from '../python/evaluation/trace-port';
import { callValue } from '../python/evaluation/calls';
import { tensorAttribute, tensorBinary, tensorItem } from '../python/library/tensors';
import type { SourceSpan } from '../python/module-tree';
import type { Located } from '../python/syntax/ast';
import type { UnknownValue} from '../python/values/values';
import { Builtin, Opaque, PyDict, PyFloat, PyFunction, PyList, PyTuple, Tensor, type Arguments, type Instance, type PyClass, type TracedValue, type Value } from '../python/values/values';
import { Symbolic, toFix, type Whole } from '../python/values/symbolic';
import { Bound, bindCall } from './bound';
import { GraphBuilder, type Attributes, type Shaped } from './graph-builder';
import { compareTensors, combine, negate } from './ops/arithmetic';
import { callEinops } from './ops/einops';
import { getItem, setItem, unbind } from './ops/indexing';
import { effectiveParameter } from './ops/reparametrized';
import { functionNamed, methodNamed, moduleNamed, type Operator } from './registry';
import { MustBeFixed, TraceStop } from './stop';
import { ShapeLog } from './shapes';
import { compareSizes, sizeArithmetic } from './sizes';
import { canonicalDtype, dtypeName } from './types';
import './ops';

/** What the checkpoint holds under the name of a parameter. */
export interface NamedTensor { readonly name: string; readonly source: string; readonly type: OnnxType; readonly shape: readonly number[] }

export class Tracer implements TracePort {
  readonly builder: GraphBuilder;
  strict = false;
  /** What was decided by an example value of a free dimension. */
  readonly guards = new Set<string>();
  /** Paths of modules whose forward ran to its end. */
  readonly reached = new Set<string>();
  machine!: Machine;
  private readonly named = new Map<Tensor, NamedTensor>();
  /** Why a parameter's values are not known. */
  private readonly missing = new Map<Tensor, string>();
  private readonly paths = new Map<Instance, string>();
  private readonly stack: string[] = [];
  /** Modules that constructors run to see what shape comes out. */
  private rehearsing = 0;
  /** Values that stand for weights while constructors run, and what is computed from them: only their shapes mean something. */
  private stands: ReadonlySet<string> = new Set();

  readonly shapes = new ShapeLog((tensor) => {
    if (tensor.traced) return tensor.traced;
    const named = this.named.get(tensor);
    return named && { type: named.type, dims: named.shape, complex: false };
  });

  constructor() { this.builder = new GraphBuilder(() => ({ module: this.stack.at(-1) ?? '', span: this.machine.site })); }

  get path(): string { return this.stack.at(-1) ?? ''; }

  /** Constructors are done: what stood for weights in them holds nothing any more. */
  endConstruction(): void { this.stands = this.builder.standing(); }
  settle(tensor: Tensor): void { if (tensor.traced && this.stands.has(tensor.traced.name)) { tensor.traced = null; tensor.view = null; } }
  /** Forward may use what the checkpoint holds. */
  begin(named: ReadonlyMap<Tensor, NamedTensor>, missing: ReadonlyMap<Tensor, string>, paths: ReadonlyMap<Instance, string>): void {
    for (const [tensor, name] of named) { this.named.set(tensor, name); tensor.traced = null; tensor.view = null; }
    for (const [tensor, why] of missing) this.missing.set(tensor, why);
    for (const [instance, path] of paths) this.paths.set(instance, path);
    this.strict = true;
  }

  stop(reason: string, span: SourceSpan | undefined = this.machine.site): never { throw new TraceStop(reason, span); }
  fix(value: Symbolic): never {
    // The batch is what should stay free: another dimension that is a number may be enough.
    const name = toFix(value.free);
    throw new MustBeFixed(name, this.freeHints.get(name) ?? value.hint, `${value.key} is used as a plain number`);
  }
  /** Example values of the free dimensions. */
  readonly freeHints = new Map<string, number>();
  seen(node: Located, value: Value): void { if (this.strict) this.shapes.record(node, value, this.path); }
  undecided(why: UnknownValue): void { if (this.strict) this.stop(why.reason, why.span); }

  // ---- values ----

  /** What a tensor holds now. */
  read(tensor: Tensor): TracedValue {
    const { view } = tensor;
    if (this.stands.size > 0) this.settle(tensor);
    if (view && tensor.view && tensor.traced) {
      const base = this.read(view.base);
      if (base !== view.of) { view.of = base; tensor.traced = this.read(view.part(view.base)); }
    }
    if (tensor.traced) return tensor.traced;
    const named = this.named.get(tensor);
    if (named) return (tensor.traced = this.builder.parameter(named.name, named.source, named.type, named.shape));
    if (tensor.data && tensor.shape && tensor.shape.length <= 1) return (tensor.traced = this.builder.constant(tensor.whole ? 'I64' : 'F32', tensor.shape as number[], tensor.data.map(finite)));
    if (this.rehearsing > 0 && tensor.shape && !tensor.shape.includes(null)) return (tensor.traced = this.builder.standIn(tensor.whole ? 'I64' : 'F32', tensor.shape as number[]));
    const why = this.missing.get(tensor);
    if (why !== undefined) return this.stop(why);
    return this.stop(this.strict ? 'the values of a tensor that the constructor makes are not known' : 'not known yet', tensor.span);
  }
  /** Replaces what a tensor holds, and what the tensor that it is a view of holds. */
  write(tensor: Tensor, value: Tensor): Tensor {
    const made = this.read(value);
    const { view } = tensor;
    if (view) {
      this.read(tensor);
      const base = view.whole(view.base, value);
      this.write(view.base, base);
      view.of = this.read(view.base);
    }
    tensor.traced = made;
    tensor.data = null;
    tensor.shape = made.dims.map((dim) => (typeof dim === 'number' ? dim : null));
    return tensor;
  }
  dims(tensor: Tensor): readonly Whole[] {
    return tensor.traced?.dims ?? this.read(tensor).dims;
  }
  type(tensor: Tensor): OnnxType { return this.read(tensor).type; }
  isComplex(tensor: Tensor): boolean { return this.read(tensor).complex; }

  /** A tensor of a number, a list of numbers or a free dimension; undefined for anything else. */
  asTensor(value: Value): Tensor | undefined {
    if (value instanceof Tensor) return value;
    if (value instanceof Symbolic) return this.emit('Squeeze', [this.builder.size(value), this.builder.constant('I64', [1], [0]).name], {}, { type: 'I64', dims: [] });
    const number = asNumber(value);
    if (number !== undefined) return this.constant(typeof value === 'boolean' ? 'BOOL' : value instanceof PyFloat ? 'F32' : 'I64', [], [number]);
    if (value instanceof PyList || value instanceof PyTuple) return this.literal(value);
    return undefined;
  }
  private literal(value: PyList | PyTuple): Tensor | undefined {
    const shape: number[] = [];
    const numbers: number[] = [];
    let float = false;
    let bool = true;
    const visit = (item: Value, depth: number): boolean => {
      if (item instanceof PyList || item instanceof PyTuple) {
        if (item instanceof PyList && item.rest !== undefined) return false;
        if (shape.length === depth) shape.push(item.items.length);
        return shape[depth] === item.items.length && item.items.every((inner) => visit(inner, depth + 1));
      }
      const number = asNumber(item);
      if (number === undefined || depth !== shape.length) return false;
      float ||= item instanceof PyFloat || (item instanceof Tensor && !item.whole);
      bool &&= typeof item === 'boolean';
      numbers.push(number);
      return true;
    };
    if (visit(value, 0)) return this.constant(float ? 'F32' : bool && numbers.length > 0 ? 'BOOL' : 'I64', shape, numbers);
    const parts = value.items.map((item) => this.asTensor(item));
    if (parts.length === 0 || parts.includes(undefined)) return undefined;
    const stack = functionNamed('torch.stack')!;
    return stack.run(this, new Bound(this, 'tensor', (name) => (name === 'tensors' ? new PyList(parts as Tensor[]) : 0)), this.machine.site!) as Tensor;
  }
  constant(type: OnnxType, shape: readonly number[], values: readonly number[]): Tensor {
    const made = this.builder.tensor(this.builder.constant(type, shape, values.map(finite)));
    return shape.length > 1 ? made : this.withData(made, values, type !== 'F32');
  }
  private withData(tensor: Tensor, data: readonly number[], whole: boolean): Tensor {
    const made = new Tensor(tensor.shape, tensor.span, data, whole);
    made.traced = tensor.traced;
    return made;
  }

  // ---- nodes ----

  emitAll(op: string, inputs: readonly (Tensor | string | null)[], attributes: Attributes, outputs: readonly Shaped[]): Tensor[] {
    return this.builder.emit(op, inputs.map((input) => (input instanceof Tensor ? this.read(input).name : input)), attributes, outputs);
  }
  emit(op: string, inputs: readonly (Tensor | string | null)[], attributes: Attributes, output: Shaped): Tensor {
    return this.emitAll(op, inputs, attributes, [output])[0]!;
  }

  // ---- what the interpreter asks ----

  /** Small tensors whose numbers are known keep them: constructors count with them. */
  private withNumbers(made: Value | undefined, given: readonly Value[], plain: () => Value): Value | undefined {
    if (!(made instanceof Tensor) || made.data || this.builder.isInput(made)) return made;
    const tensors = given.flatMap((value) => (value instanceof PyList || value instanceof PyTuple ? value.items : [value])).filter((value): value is Tensor => value instanceof Tensor);
    if (tensors.length === 0 || !tensors.every((tensor) => tensor.data !== null) || !made.shape || made.shape.length > 1) return made;
    const known = plain();
    if (known instanceof Tensor && known.data && known.data.length === (made.shape[0] ?? 1) && known.data.every((value) => !Number.isNaN(value))) { made.data = known.data; made.whole = known.whole; }
    return made;
  }
  callFunction(_machine: Machine, name: string, args: Arguments, site: SourceSpan, plain?: () => Value): Value | undefined {
    if (name.startsWith('einops.')) {
      const made = this.guarded(() => callEinops(this, name, args, site));
      if (made !== undefined) return made;
    }
    const operator = functionNamed(name);
    if (operator) {
      const made = this.attempt(operator, name, args, site);
      return plain ? this.withNumbers(made, args.positional, plain) : made;
    }
    if (!this.strict || !/^(torch|einops|flash_attn|xformers)\b/.test(name)) return undefined;
    const inPlace = /^torch\..*[a-z0-9]_$/.test(name) ? functionNamed(name.slice(0, -1)) : undefined;
    if (inPlace && args.positional[0] instanceof Tensor) return this.write(args.positional[0], this.attempt(inPlace, name, args, site) as Tensor);
    return [...args.positional, ...args.keywords.values()].some(holdsTensor) ? this.stop(`${name} is not known to the tracer`, site) : undefined;
  }
  /** Runs an operator; while constructors run, what it cannot do is left to what knows shapes only. */
  private attempt(operator: Operator, name: string, args: Arguments, site: SourceSpan): Value | undefined {
    this.machine.site = site;
    if (this.strict) return this.run(operator, name, args, site);
    try { return this.run(operator, name, args, site); } catch (error) {
      if (error instanceof TraceStop) return undefined;
      throw error;
    }
  }
  private run(operator: Operator, name: string, args: Arguments, site: SourceSpan): Value {
    const made = this.taking(name, () => operator.run(this, bindCall(this, name, operator.signature, args), site));
    if (args.keywords.get('inplace') === true && made instanceof Tensor && args.positional[0] instanceof Tensor) return this.write(args.positional[0], made);
    const { keywords } = args;
    return keywords.get('out') instanceof Tensor && made instanceof Tensor ? this.write(keywords.get('out') as Tensor, made) : made;
  }

  callModule(machine: Machine, module: Instance, args: Arguments, site: SourceSpan): Value {
    const path = this.paths.get(module) ?? this.path;
    const forward = module.cls.lookup('forward');
    if (!this.strict) return this.rehearse(machine, module, forward, args, site);
    this.stack.push(path);
    try {
      const made = forward instanceof PyFunction ? callFunction(machine, forward, { ...args, positional: [module, ...args.positional] }, site)
        : this.libraryModule(machine, module, module.cls, args, site);
      this.reached.add(path);
      return made;
    } finally { this.stack.pop(); }
  }
  /** A constructor runs a module for the shape of what it gives: weights are stood for, and what cannot be followed is not known. */
  private rehearse(machine: Machine, module: Instance, forward: Value | undefined, args: Arguments, site: SourceSpan): Value {
    this.rehearsing += 1;
    try {
      return forward instanceof PyFunction ? callFunction(machine, forward, { ...args, positional: [module, ...args.positional] }, site) : this.libraryModule(machine, module, module.cls, args, site);
    } catch (error) {
      if (error instanceof TraceStop) return machine.unknown(`the result of running ${module.cls.name}: ${error.reason}`, site);
      throw error;
    } finally { this.rehearsing -= 1; }
  }
  /** Its own, or that of the library class it is of. */
  hasForward(cls: PyClass): boolean {
    return cls.lookup('forward') !== undefined || cls.mro.some((each) => each.span === null && moduleNamed(each.name) !== undefined);
  }
  libraryForward(module: Instance, cls: PyClass): Value | undefined {
    const known = cls.mro.find((each) => each.span === null && moduleNamed(each.name));
    return known && new Builtin('forward', (machine, args, site) => this.libraryModule(machine, module, cls, args, site));
  }
  private libraryModule(machine: Machine, module: Instance, cls: PyClass, args: Arguments, site: SourceSpan): Value {
    machine.site = site;
    const found = cls.mro.find((each) => each.span === null && moduleNamed(each.name));
    const known = found && moduleNamed(found.name);
    if (!known) return this.strict ? this.stop(cls.lookup('forward') === undefined && cls.span ? `${cls.name} has no forward` : `the forward of ${cls.qualifiedName} is not known to the tracer`, site) : machine.unknown(`the result of running ${cls.name}`, site);
    return this.taking(cls.name, () => known.run(this, this.moduleArguments(module), bindCall(this, cls.name, known.signature, args), module));
  }
  /** Operators are written for what they take: given a tensor of another rank, they meet dimensions that are not there. */
  private taking<T>(what: string, work: () => T): T {
    try { return work(); } catch (error) {
      if (error instanceof TypeError) return this.stop(`${what} cannot take what it is given here`);
      throw error;
    }
  }
  /** What a module holds, by name. */
  moduleArguments(module: Instance): Bound {
    return new Bound(this, module.cls.name, (name) => [module.attributes, module.parameters, module.buffers, module.modules].map((map) => map.get(name)).find((value) => value !== undefined && value !== null) ?? effectiveParameter(this, module, name) ?? module.attributes.get(name) ?? module.parameters.get(name));
  }
  derivedParameter(module: Instance, name: string): Value | undefined { return this.strict ? effectiveParameter(this, module, name) : undefined; }
  callWith(callee: Value, positional: readonly Value[], keywords: ReadonlyMap<string, Value>): Value {
    return callValue(this.machine, callee, { positional, keywords }, this.machine.site!);
  }
  /** Calls a value of the source: a module, a function, an activation given by name. */
  call(callee: Value, ...positional: Value[]): Value {
    return callValue(this.machine, callee, { positional, keywords: new Map() }, this.machine.site!);
  }
  /** An operator by the name of its function. */
  op(name: string, ...positional: Value[]): Tensor { return this.opWith(name, positional, {}) as Tensor; }
  opWith(name: string, positional: readonly Value[], keywords: Readonly<Record<string, Value>>): Value {
    const operator = functionNamed(`torch.${name}`) ?? methodNamed(name);
    if (!operator) throw new Error(`no operator ${name}`);
    return operator.run(this, bindCall(this, name, operator.signature, { positional, keywords: new Map(Object.entries(keywords)) }), this.machine.site!);
  }

  attribute(_machine: Machine, tensor: Tensor, name: string): Value | undefined {
    const known = this.strict || tensor.traced !== null;
    switch (name) {
      case 'shape': return known ? new PyTuple([...this.dims(tensor)]) : undefined;
      case 'ndim': return known ? this.dims(tensor).length : undefined;
      case 'data': case 'detach_': return name === 'data' ? tensor : undefined;
      case 'dtype': return known ? new Opaque(`torch.${dtypeName(this.read(tensor))}`) : new Opaque('torch.float32');
      case 'device': return DEVICE;
      case 'is_cuda': case 'requires_grad': case 'is_sparse': case 'is_quantized': case 'is_nested': case 'is_meta': case 'is_mps': return false;
      case 'grad': case 'grad_fn': return null;
    }
    if (PROPERTIES.has(name)) return this.guarded(() => this.opWith(name, [tensor], {}));
    const inPlace = /^\w+[^_]_$/.test(name) && !methodNamed(name);
    const operator = methodNamed(inPlace ? name.slice(0, -1) : name);
    if (!operator) return this.strict ? new Builtin(name, (_, __, site) => this.stop(`Tensor.${name} is not known to the tracer`, site)) : undefined;
    return new Builtin(name, (m, args, site) => {
      const made = this.attempt(operator, `Tensor.${name}`, { ...args, positional: [tensor, ...args.positional] }, site);
      if (made !== undefined) return inPlace && made instanceof Tensor ? this.write(tensor, made) : this.withNumbers(made, [tensor, ...args.positional], () => callValue(m, tensorAttribute(m, tensor, name) ?? null, args, site)) ?? made;
      return callValue(m, tensorAttribute(m, tensor, name) ?? null, args, site);
    });
  }
  /** Undefined while constructors run and this cannot be traced. */
  private guarded<T>(work: () => T): T | undefined {
    if (this.strict) return work();
    try { return work(); } catch (error) { if (error instanceof TraceStop) return undefined; throw error; }
  }

  item(machine: Machine, tensor: Tensor, index: Value): Value | undefined {
    return this.guarded(() => this.withNumbers(getItem(this, tensor, index), [tensor], () => tensorItem(machine, tensor, index)));
  }
  setItem(_machine: Machine, tensor: Tensor, index: Value, value: Value): boolean {
    return this.guarded(() => { this.write(tensor, setItem(this, tensor, index, value)); return true; }) ?? false;
  }
  binary(machine: Machine, operator: string, a: Value, b: Value, inPlace: boolean): Value | undefined {
    if (a instanceof Tensor || b instanceof Tensor) {
      if (a instanceof PyList || b instanceof PyList || a instanceof PyTuple || b instanceof PyTuple) return undefined;
      return this.guarded(() => {
        const made = combine(this, operator, a, b);
        if (inPlace && a instanceof Tensor) return this.write(a, made);
        return this.withNumbers(made, [a, b], () => tensorBinary(machine, operator, a, b));
      });
    }
    return a instanceof Symbolic || b instanceof Symbolic ? sizeArithmetic(this, machine, operator, a, b) : undefined;
  }
  unary(_machine: Machine, operator: string, value: Value): Value | undefined {
    if (value instanceof Tensor && operator !== 'not') return this.guarded(() => negate(this, operator, value));
    return value instanceof Symbolic && operator === '-' ? sizeArithmetic(this, this.machine, '*', value, -1) : value instanceof Symbolic && operator === '+' ? value : undefined;
  }
  compare(_machine: Machine, operator: string, a: Value, b: Value): Value | undefined {
    if (a instanceof Opaque && b instanceof Opaque && /^(==|!=|is|is not)$/.test(operator) && a.name.startsWith('torch.') && b.name.startsWith('torch.')) {
      return (canonicalDtype(a.name) === canonicalDtype(b.name)) === (operator === '==' || operator === 'is');
    }
    if ((a instanceof Opaque || b instanceof Opaque) && this.strict && (operator === 'in' || operator === 'not in') && a instanceof Opaque && (b instanceof PyTuple || b instanceof PyList)) {
      const found = b.items.some((item) => item instanceof Opaque && canonicalDtype(item.name) === canonicalDtype(a.name));
      return found === (operator === 'in');
    }
    if (/^(is|is not|in|not in)$/.test(operator)) return undefined;
    if ((a instanceof Tensor && b !== null) || (b instanceof Tensor && a !== null)) return this.guarded(() => compareTensors(this, operator, a, b));
    return a instanceof Symbolic || b instanceof Symbolic ? compareSizes(this, operator, a, b) : undefined;
  }
  truth(_machine: Machine, value: Tensor | Symbolic): boolean | undefined {
    if (value instanceof Symbolic) { this.guard(`${value.key} is ${value.hint === 0 ? '' : 'not '}zero`); return value.hint !== 0; }
    if (value.data && value.data.length === 1) return value.data[0] !== 0;
    return this.strict ? this.stop('the values of a tensor decide which way the code goes') : undefined;
  }
  iterate(_machine: Machine, tensor: Tensor): Value[] | undefined {
    return this.guarded(() => {
      const [count] = this.dims(tensor);
      if (count === undefined) return this.stop('a tensor without dimensions is iterated');
      if (count instanceof Symbolic) return this.fix(count);
      if (count > 65536) return this.stop('a tensor of very many rows is iterated');
      return unbind(this, tensor, 0);
    });
  }
  guard(text: string): void { if (this.strict) this.guards.add(text); }
}

const DEVICE = new PyDict([['type', 'cpu'], ['index', null]]);
DEVICE.attributeAccess = true;
/** Attributes of a tensor that are operators. */
const PROPERTIES = new Set(['T', 'mT', 'H', 'mH', 'real', 'imag']);
const finite = (value: number): number | 'Infinity' | '-Infinity' => (value === Infinity ? 'Infinity' : value === -Infinity ? '-Infinity' : value);
const holdsTensor = (value: Value): boolean => value instanceof Tensor || ((value instanceof PyList || value instanceof PyTuple) && value.items.some(holdsTensor));
