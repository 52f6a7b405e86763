/** Normalisation layers. Running statistics are buffers; num_batches_tracked is an int64 scalar. */
import { attributeTuple, both, buffer, dim, module, parameter, shapeOf, truth, when, type Content, type Dim, type TorchArgs, type TorchModuleSpec } from './spec';

/** What _NormBase holds: weight, bias when affine; three buffers when running statistics are tracked. */
function normBase(channels: Dim, affine: unknown, tracks: unknown): ReturnType<Content> {
  return {
    parameters: [
      ...when(truth(affine), parameter('weight', [channels]), parameter('bias', [channels])),
      ...when(truth(tracks), buffer('running_mean', [channels]), buffer('running_var', [channels]), buffer('num_batches_tracked', [])),
    ],
  };
}

const BATCH = 'num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True';
const INSTANCE = 'num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False';
const DEVICE = ', device=None, dtype=None';
/** `normalized_shape=8` is kept as `(8,)`. */
const attributes = (a: TorchArgs): Record<string, unknown> => ({ normalized_shape: attributeTuple(a.normalized_shape, 1) });
const lazy = (signature: string): string => signature.replace('num_features, ', '');
const byFeatures: Content = (a) => normBase(dim(a.num_features), a.affine, a.track_running_stats);

export const norm: readonly TorchModuleSpec[] = [
  ...[1, 2, 3].flatMap((n) => [
    module(`torch.nn.BatchNorm${n}d`, BATCH + DEVICE, byFeatures, { role: 'norm' }),
    module(`torch.nn.LazyBatchNorm${n}d`, lazy(BATCH) + DEVICE, byFeatures, { role: 'norm' }),
    module(`torch.nn.InstanceNorm${n}d`, INSTANCE + DEVICE, byFeatures, { role: 'norm' }),
    module(`torch.nn.LazyInstanceNorm${n}d`, lazy(BATCH) + DEVICE, byFeatures, { role: 'norm' }),
  ]),
  module('torch.nn.SyncBatchNorm', `${BATCH}, process_group=None${DEVICE}`, byFeatures, { role: 'norm' }),
  module('torch.nn.GroupNorm', `num_groups, num_channels, eps=1e-05, affine=True${DEVICE}`,
    (a) => normBase(dim(a.num_channels), a.affine, false), { role: 'norm' }),
  module('torch.nn.LayerNorm', `normalized_shape, eps=1e-05, elementwise_affine=True, bias=True${DEVICE}`, (a) => ({
    parameters: [
      ...when(truth(a.elementwise_affine), parameter('weight', shapeOf(a.normalized_shape))),
      ...when(both(truth(a.elementwise_affine), truth(a.bias)), parameter('bias', shapeOf(a.normalized_shape))),
    ],
  }), { role: 'norm', attributes }),
  module('torch.nn.RMSNorm', `normalized_shape, eps=None, elementwise_affine=True${DEVICE}`, (a) => ({
    parameters: when(truth(a.elementwise_affine), parameter('weight', shapeOf(a.normalized_shape))),
  }), { role: 'norm', attributes }),
  module('torch.nn.LocalResponseNorm', 'size, alpha=0.0001, beta=0.75, k=1.0'),
  module('torch.nn.CrossMapLRN2d', 'size, alpha=0.0001, beta=0.75, k=1'),
];
