/** The `torch` package: the table's classes, tensor functions, and everything else as things that exist and do not matter. */
import type { PyClass} from '../values/values';
import { Builtin, Instance, PyFloat, Namespace, Opaque, PyTuple, Tensor, type Value,
} from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import { callValue } from '../evaluation/calls';
import { functionClass } from './autograd';
import { containerClasses } from './nn-containers';
import { builtin, decorator, nameTorchFunction, transparent } from './support';
import { tensorFunctions } from './tensors';
import { reparametrizationFunction, torchClass } from './torch-classes';
import { moduleClass, nativeClass, objectClass, parameterClass, tensorClass } from './types';
import { deepCopy } from './nn-module';

/** A decorator that may also be a context: `torch.no_grad()`. */
const context = (name: string): Builtin => builtin(name, (_, args) => (args.positional.length === 1 && !(args.positional[0] instanceof Opaque) && typeof args.positional[0] === 'object' ? args.positional[0] : transparent(name)));

/** `torch.compile(module)` wraps it; a function stays what it is. */
const compile = builtin('compile', (machine, args, site) => {
  const [target] = args.positional;
  if (target === undefined) return transparent('compile');
  if (!(target instanceof Instance)) return target;
  const made = new Instance(optimizedModule, site);
  machine.touch(made);
  made.initialized = true;
  made.modules.set('_orig_mod', target);
  return made;
});
const optimizedModule = nativeClass('OptimizedModule', {}, [moduleClass], 'torch._dynamo.eval_frame.OptimizedModule');

/** `nn.Buffer(tensor)`. */
const buffer = builtin('Buffer', (_, args) => args.positional[0] ?? null);

function ntuple(n: number | null): Builtin {
  return builtin('_ntuple', (machine, args) => {
    const [value] = args.positional;
    if (n === null) return ntuple(asNumber(value ?? 1) ?? 1);
    if (value === undefined) return null;
    if (typeof value !== 'string' && typeof value === 'object' && value !== null && asNumber(value) === undefined) {
      const sequence = valuesOf(machine, value);
      if (sequence.rest === undefined) return new PyTuple([...sequence.items]);
    }
    return new PyTuple(Array.from({ length: n }, () => value));
  });
}

const registerParametrization = builtin('register_parametrization', (machine, args, site) => {
  const [module, name, parametrization] = args.positional;
  if (!(module instanceof Instance) || typeof name !== 'string') return module ?? null;
  machine.touch(module);
  const inner = (holder: Instance, key: string): Instance => {
    const known = holder.modules.get(key);
    if (known instanceof Instance) return known;
    const made = new Instance(containerClasses.ModuleList!, site);
    holder.modules.set(key, made);
    return made;
  };
  const list = inner(inner(module, 'parametrizations'), name);
  const original = module.parameters.get(name) ?? module.buffers.get(name);
  if (original !== undefined) { list.parameters.set('original', original); module.parameters.delete(name); module.buffers.delete(name); }
  list.modules.set(String(list.modules.size), parametrization ?? null);
  return module;
});
const orthogonal = builtin('orthogonal', (machine, args, site) => {
  const [module] = args.positional;
  const name = typeof args.positional[1] === 'string' ? args.positional[1] : 'weight';
  return registerParametrization.call(machine, { positional: [module ?? null, name, new Instance(nativeClass('_Orthogonal', {}, [moduleClass], 'torch.nn.utils.parametrizations._Orthogonal'), site)], keywords: new Map() }, site);
});

/** `torch.linalg.qr`: Q has the shape of a tall matrix, R is square. */
const factorization = builtin('qr', (_, args, site) => {
  const [matrix] = args.positional;
  const shape = matrix instanceof Tensor ? matrix.shape : null;
  const small = shape && shape.length === 2 && shape[0] !== null && shape[1] !== null ? Math.min(shape[0]!, shape[1]!) : null;
  return new PyTuple([new Tensor(shape && shape.length === 2 ? [shape[0]!, small] : null, site), new Tensor(shape && shape.length === 2 ? [small, shape[1]!] : null, site)]);
});

/** Names with a meaning of their own, by full name. */
const known = new Map<string, Value>([
  ...[...tensorFunctions].map(([name, value]) => [`torch.${name}`, value] as const),
  ['torch.Tensor', tensorClass], ['torch.nn.Parameter', parameterClass], ['torch.nn.parameter.Parameter', parameterClass], ['torch.nn.UninitializedParameter', parameterClass],
  ['torch.nn.Buffer', buffer], ['torch.nn.Module', moduleClass], ['torch.jit.ScriptModule', moduleClass], ['torch.nn.modules.Module', moduleClass], ['torch.nn.modules.module.Module', moduleClass],
  ['torch.compile', compile], ['torch.jit.script', transparent('script')], ['torch.jit.trace', transparent('trace')], ['torch.jit.export', decorator('export')], ['torch.jit.ignore', decorator('ignore')], ['torch.jit.unused', decorator('unused')],
  ['torch.jit.script_if_tracing', decorator('script_if_tracing')], ['torch.jit.interface', decorator('interface')], ['torch.jit.Final', new Opaque('Final')],
  ['torch.no_grad', context('no_grad')], ['torch.inference_mode', context('inference_mode')], ['torch.enable_grad', context('enable_grad')], ['torch.autocast', context('autocast')], ['torch.cuda.amp.autocast', context('autocast')],
  ['torch.cuda.amp.custom_fwd', decorator('custom_fwd')], ['torch.cuda.amp.custom_bwd', decorator('custom_bwd')], ['torch.fx.wrap', transparent('wrap')], ['torch.library.custom_op', decorator('custom_op')],
  ['torch.autograd.Function', functionClass], ['torch.autograd.function.Function', functionClass], ['torch.newaxis', null], ['torch.__version__', '2.9.0'], ['torch.pi', new PyFloat(Math.PI)], ['torch.inf', new PyFloat(Infinity)], ['torch.nan', new PyFloat(NaN)], ['torch.e', new PyFloat(Math.E)],
  ['torch.autograd.Variable', transparent('Variable')], ['torch.autograd.variable.Variable', transparent('Variable')],
  ['torch.nn.modules.utils._ntuple', ntuple(null)], ['torch.nn.modules.utils._single', ntuple(1)], ['torch.nn.modules.utils._pair', ntuple(2)], ['torch.nn.modules.utils._triple', ntuple(3)], ['torch.nn.modules.utils._quadruple', ntuple(4)],
  ['torch.nn.utils.parametrize.register_parametrization', registerParametrization], ['torch.nn.utils.parametrizations.orthogonal', orthogonal],
  ['torch.nn.utils.skip_init', builtin('skip_init', (machine, args, site) => callValue(machine, args.positional[0] ?? null, { ...args, positional: args.positional.slice(1) }, site))],
  ['torch.nn.modules.container.ModuleList', containerClasses.ModuleList!], ['torch.utils.data.Dataset', nativeClass('Dataset', {}, [objectClass], 'torch.utils.data.Dataset')],
  ['torch.linalg.qr', factorization], ['torch.qr', factorization],
  ['torch.is_floating_point', builtin('is_floating_point', (m) => m.unknown('the type of a tensor'))], ['torch.clone', builtin('clone', (m, args) => deepCopy(m, args.positional[0] ?? null))],
]);
for (const name of ['_BatchNorm', '_InstanceNorm', '_NormBase', '_ConvNd', '_ConvTransposeNd', '_DropoutNd', '_AdaptiveAvgPoolNd', '_Loss', '_WeightedLoss', 'RNNBase', 'RNNCellBase']) {
  const test = { _BatchNorm: /BatchNorm/, _InstanceNorm: /InstanceNorm/, _NormBase: /(Batch|Instance)Norm/, _ConvNd: /^Conv(Transpose)?\dd$/, _ConvTransposeNd: /^ConvTranspose\dd$/, _DropoutNd: /Dropout/ }[name] ?? /^$/;
  const isInstance = (value: Value): boolean => value instanceof Instance && value.cls.mro.some((base) => base.native.spec !== undefined && test.test(base.name));
  baseClass(name, nativeClass(name, { isInstance }, [moduleClass], `torch.nn.modules.${name}`));
}
function baseClass(name: string, cls: PyClass): void {
  for (const home of ['batchnorm', 'instancenorm', 'conv', 'dropout', 'loss', 'pooling', 'rnn']) known.set(`torch.nn.modules.${home}.${name}`, cls);
}

const members = new Map<string, Value>();
function member(fullName: string): Value {
  const cached = members.get(fullName);
  if (cached !== undefined) return cached;
  const made = known.has(fullName) ? known.get(fullName)! : reparametrizationFunction(fullName) ?? torchClass(fullName) ?? fallback(fullName);
  if (made instanceof Builtin) nameTorchFunction(made, fullName);
  members.set(fullName, made);
  return made;
}

function fallback(fullName: string): Value {
  const name = fullName.slice(fullName.lastIndexOf('.') + 1);
  if (/^torch\.nn\.init\./.test(fullName)) return transparent(name);
  if (/^torch\.(float|int|uint|bfloat|half|double|long|bool|complex|short|qint|quint|strided|channels_last|contiguous_format|preserve_format|dtype|device|inf|nan|e$)/.test(fullName)) return new Opaque(fullName);
  // A submodule (torch.nn, torch.cuda.amp) or a function: reading on gives members, calling gives an opaque result.
  return new TorchName(fullName);
}
/** A name in torch that is a package or a function nobody needs the result of. */
class TorchName extends Namespace { constructor(name: string) { super(name, (inner) => member(`${name}.${inner}`)); } }

export function torchModuleNamespace(name: string): Namespace {
  const value = member(name);
  return value instanceof Namespace ? value : new Namespace(name, (inner) => member(`${name}.${inner}`));
}
