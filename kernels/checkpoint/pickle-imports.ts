import type { PickleImport } from './checkpoint';

/**
 * What a name that a pickle imports is known for. `tensor` follows the allow-list of PyTorch's weights_only loader;
 * `code` are names that run code, reach files, processes or the network, or fetch such names. Anything else is `other`:
 * unknown is never called safe.
 */
export function kindOfImport(module: string, name: string): PickleImport['kind'] {
  if (TENSOR_NAMES.has(`${module} ${name}`) || TENSOR_PATTERNS.some(([inside, pattern]) => inside.test(module) && pattern.test(name))) return 'tensor';
  if (ORDINARY_NAMES.has(`${module} ${name}`)) return 'other';
  // A module counts with everything inside it.
  for (let end = module.indexOf('.'); ; end = module.indexOf('.', end + 1)) {
    if (CODE_MODULES.has(end < 0 ? module : module.slice(0, end))) return 'code';
    if (end < 0) break;
  }
  if (BUILTINS.has(module)) return HARMLESS_BUILTINS.has(name) ? 'other' : 'code';
  if (CODE_NAMES.has(`${module} ${name}`)) return 'code';
  // A dotted name walks attributes: `os.system` of an innocent module reaches that module's own imports. Classes inside classes are ordinary.
  if (name.startsWith('__') || (name.includes('.') && !/^[A-Z]\w*(\.[A-Z]\w*)*$/.test(name))) return 'code';
  return /(^|\.)(_inductor|_dynamo|hub|serialization|cpp_extension|collect_env|_jit_internal)(\.|$)/.test(module) ? 'code' : 'other';
}

const BUILTINS: ReadonlySet<string> = new Set(['builtins', '__builtin__', '__builtins__']);

/** Builtins that only make or convert values. */
const HARMLESS_BUILTINS: ReadonlySet<string> = new Set(['list', 'dict', 'tuple', 'int', 'long', 'float', 'bool', 'str', 'unicode', 'bytes',
  'object', 'slice', 'range', 'xrange', 'frozenset', 'enumerate', 'zip', 'reversed', 'sorted', 'len', 'min', 'max', 'sum', 'abs', 'round', 'Ellipsis', 'NotImplemented']);

const TENSOR_NAMES: ReadonlySet<string> = new Set([
  'collections OrderedDict', 'collections Counter', '_codecs encode',
  ...['builtins', '__builtin__'].flatMap((module) => ['set', 'bytearray', 'complex'].map((name) => `${module} ${name}`)),
  'torch Size', 'torch Tensor', 'torch device', 'torch Generator', 'torch.nn.parameter Parameter', 'torch.nn.parameter Buffer', 'torch.nn Parameter', 'torch.autograd.variable Variable',
  'torch.serialization _get_layout', 'torch._tensor _rebuild_from_type_v2', 'torch._tensor _rebuild_from_type', 'torch.tensor _rebuild_from_type', 'torch.utils.hooks BackwardHook',
  'torch.storage UntypedStorage', 'torch.storage _UntypedStorage', 'torch.storage TypedStorage', 'torch.storage _TypedStorage',
  'torch.distributed.tensor DTensor', 'torch.distributed._tensor.api DTensor', 'torch.distributed._tensor DTensor', 'torch.distributed.device_mesh DeviceMesh',
]);

const TENSOR_PATTERNS: readonly (readonly [RegExp, RegExp])[] = [
  [/^torch(\.cuda)?$/, /^(\w*(Storage|Tensor)|q?u?int\d+(x\d)?|float\d\w*|bfloat16|half|float|double|complex\d+|c(float|double|half)|long|int|short|bool|bits\w+|per_(tensor|channel)_\w+|strided|sparse_\w+|jagged|contiguous_format|channels_last(_3d)?|preserve_format|_mkldnn)$/],
  [/^torch\._utils$/, /^_rebuild_\w+$/],
  [/^torch\.distributed\.(_tensor|tensor)\.(placement_types|_dtensor_spec)$/, /^(DTensorSpec|TensorMeta|Shard|Replicate|Partial|_Partial|_StridedShard)$/],
  [/^torch\.jit\._pickle$/, /^(build_(int|tensor|double|bool)list|restore_type_tag)$/],
];

/** Names in the modules below that only hold values, and that ordinary training scripts leave in checkpoints. */
const ORDINARY_NAMES: ReadonlySet<string> = new Set([
  'types SimpleNamespace', 'copyreg _reconstructor', 'copy_reg _reconstructor', 'logging Logger', 'logging getLogger', 'io BytesIO', '_io BytesIO', 'io StringIO', 'itertools count', 'platform uname_result',
  ...['pathlib', 'pathlib._local'].flatMap((module) => ['Path', 'PosixPath', 'WindowsPath', 'PurePath', 'PurePosixPath', 'PureWindowsPath'].map((name) => `${module} ${name}`)),
]);

/** Modules of which no name belongs into a checkpoint: they run code, start programs, reach files or the network, or load other pickles. */
const CODE_MODULES: ReadonlySet<string> = new Set([
  'os', 'posix', 'nt', 'posixpath', 'ntpath', 'genericpath', 'sys', 'subprocess', '_posixsubprocess', 'commands', 'popen2', 'pty', 'shutil', 'platform', 'signal', 'resource', 'tempfile', 'fileinput', 'glob', 'pathlib', 'io', '_io',
  'runpy', 'importlib', '_frozen_importlib', '_frozen_importlib_external', 'imp', 'pkgutil', 'zipimport', 'code', 'codeop', 'types', 'inspect', 'ast', 'dis', 'gc', 'ctypes', '_ctypes', 'cffi', 'mmap',
  'pickle', '_pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve', 'marshal', 'copyreg', 'copy_reg', 'copy',
  'socket', '_socket', 'ssl', 'http', 'httplib', 'urllib', 'urllib2', 'requests', 'aiohttp', 'httpx', 'ftplib', 'smtplib', 'poplib', 'imaplib', 'telnetlib', 'socketserver', 'xmlrpc', 'webbrowser', 'paramiko', 'asyncio', 'antigravity',
  'multiprocessing', 'concurrent', 'threading', '_thread', 'sched', 'atexit', 'weakref', 'logging',
  'bdb', 'pdb', 'cProfile', 'profile', 'pstats', 'trace', 'timeit', 'doctest', 'unittest', 'pydoc', 'pip', 'ensurepip', 'venv', 'setuptools', 'distutils', 'site', 'idlelib', 'lib2to3', 'tkinter', 'turtle', 'cgi', 'cgitb',
  'operator', '_operator', 'functools', '_functools', 'itertools', 'nose', 'pytest', 'ptpython', 'IPython', 'numpy.f2py', 'numpy.distutils', 'numpy.testing', 'torch.testing', 'torch.jit.unsupported_tensor_ops', 'torch.fx',
]);

const CODE_NAMES: ReadonlySet<string> = new Set([
  'torch load', 'torch save', 'torch.jit load', 'torch.package PackageImporter', 'torch ops', 'torch classes', 'torch compile',
  'numpy load', 'numpy save', 'numpy fromfile', 'numpy memmap', 'pandas read_pickle', 'pandas.io.pickle read_pickle',
]);

/** Names that a pickle would import, each listed once with the place of its first opcode. */
export class ImportList {
  private readonly seen = new Map<string, PickleImport>();
  /** Distinct names beyond the limit. */
  dropped = 0;

  constructor(private readonly most: number) {}

  add(module: string, name: string, offset: number, kind: PickleImport['kind'] = kindOfImport(module, name)): void {
    const key = `${module}\u0000${name}`;
    if (this.seen.has(key)) return;
    if (this.seen.size >= this.most) this.dropped++;
    else this.seen.set(key, { module, name, offset, kind });
  }

  get size(): number { return this.seen.size; }
  list(): PickleImport[] { return [...this.seen.values()]; }
}
