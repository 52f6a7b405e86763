/** Containers and wrappers, and functions of torch that steer a program rather than compute. */
import { PyTuple, Tensor, type Value } from '../../python/values/values';
import { define, defineModule } from '../registry';
import { elementwise } from './arithmetic';

defineModule('Sequential', '*args', (g, _, a, instance) => {
  const given = a.raw('args');
  let values: readonly Value[] = given instanceof PyTuple ? given.items : [];
  for (const [name, module] of instance.modules) {
    if (name === '*') return g.stop('how many modules a Sequential holds is not known');
    if (module === null) continue;
    values = [g.call(module, ...values)];
  }
  return values[0] ?? null;
});
defineModule('OptimizedModule', '*args, **kwargs', (g, m, a) => g.call(m.raw('_orig_mod') ?? null, ...(a.raw('args') as PyTuple).items));
defineModule('DataParallel DistributedDataParallel', '*args, **kwargs', (g, m, a) => g.call(m.raw('module') ?? null, ...(a.raw('args') as PyTuple).items));
defineModule('QuantStub DeQuantStub', 'input', (_, __, a) => a.raw('input') ?? null);
defineModule('CosineSimilarity', 'x1, x2', (g, m, a) => g.op('cosine_similarity', a.tensor('x1'), a.tensor('x2'), m.raw('dim') ?? 1));
define('FloatFunctional.add', 'x, y', (g, a) => elementwise(g, 'Add', a.tensor('x'), a.tensor('y')));

define('torch.utils.checkpoint.checkpoint', 'function, *args, use_reentrant=True, **kwargs', (g, a) => g.call(a.raw('function') ?? null, ...(a.raw('args') as PyTuple).items));
define('torch.jit.is_scripting torch.jit.is_tracing torch.onnx.is_in_onnx_export torch.is_grad_enabled torch.is_autocast_enabled torch.cuda.is_available torch.compiler.is_compiling torch.compiler.is_dynamo_compiling torch._dynamo.is_compiling torch.fx._symbolic_trace.is_fx_tracing torch.backends.mps.is_available torch.distributed.is_initialized torch._C._get_tracing_state torch.is_inference_mode_enabled torch.overrides.has_torch_function torch.backends.cuda.flash_sdp_enabled', '*args, **kwargs', () => false);
define('torch.overrides.is_tensor_like', 'x', (_, a) => a.raw('x') instanceof Tensor);
define('torch._assert torch._check torch._C._log_api_usage_once torch.utils._python_dispatch torch.cuda.synchronize torch.manual_seed torch.set_grad_enabled torch.set_num_threads torch.fx.wrap torch._check_is_size', '*args, **kwargs', () => null);
define('torch.broadcast_shapes', '*shapes', (g, a) => {
  const shapes = (a.raw('shapes') as PyTuple).items.map((shape) => filledLike(g, shape));
  return new PyTuple([...g.dims(shapes.reduce((x, y) => elementwise(g, 'Add', x, y)))]);
});
const filledLike = (g: Parameters<Parameters<typeof define>[2]>[0], shape: Value): Tensor => g.opWith('zeros', [shape], {}) as Tensor;
define('torch.jit.annotate', 'the_type, value', (_, a) => a.raw('value') ?? null);
