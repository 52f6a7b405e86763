/** Containers and wrappers. The interpreter follows containers written in source itself. */
import { buffer, childFrom, module, type Content, type TorchChild, type TorchModuleSpec } from './spec';

/** Children from an array of handles, or from a plain object of them. */
function contained(modules: unknown): TorchChild[] {
  if (Array.isArray(modules)) return modules.map((item, index) => childFrom(String(index), item));
  if (typeof modules === 'object' && modules !== null) return Object.entries(modules).map(([name, item]) => childFrom(name, item));
  return modules === null ? [] : [{ name: '*', module: undefined, optional: true }];
}

const wrapped = (name: string, argument: string): Content => (a) => ({ children: [childFrom(name, a[argument])] });

export const containers: readonly TorchModuleSpec[] = [
  module('torch.nn.Module', '*args, **kwargs'),
  module('torch.nn.Container', '**kwargs'),
  module('torch.nn.Sequential', '*args', (a) => ({ children: contained(a.args) })),
  module('torch.nn.ModuleList', 'modules=None', (a) => ({ children: contained(a.modules) })),
  module('torch.nn.ModuleDict', 'modules=None', (a) => ({ children: contained(a.modules) })),
  module('torch.nn.ParameterList', 'values=None'),
  module('torch.nn.ParameterDict', 'parameters=None'),
  module('torch.nn.DataParallel', 'module, device_ids=None, output_device=None, dim=0', wrapped('module', 'module')),
  module('torch.nn.parallel.DistributedDataParallel', 'module, device_ids=None, output_device=None, dim=0, broadcast_buffers=True, '
    + 'init_sync=True, process_group=None, bucket_cap_mb=None, find_unused_parameters=False, check_reduction=False, '
    + 'gradient_as_bucket_view=False, static_graph=False, **kwargs', wrapped('module', 'module')),
  module('torch.distributed.fsdp.FullyShardedDataParallel', 'module, process_group=None, **kwargs', wrapped('_fsdp_wrapped_module', 'module')),
  module('torch.optim.swa_utils.AveragedModel', 'model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False', (a) => ({
    parameters: [buffer('n_averaged', [])],
    children: [childFrom('module', a.model, true)],
  })),
];
