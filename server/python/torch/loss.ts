/** Losses. A class weight given by the caller is a buffer, so it is in state_dict when the loss is an attribute. */
import { buffer, child, dim, given, module, over, plus, tensorShape, weightless, when, type Content, type Dim, type TorchChild, type TorchModuleSpec } from './spec';

const plain = weightless('torch.nn', `
  CTCLoss(blank=0, reduction='mean', zero_infinity=False)
  CosineEmbeddingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')
  GaussianNLLLoss(*, full=False, eps=1e-06, reduction='mean')
  HingeEmbeddingLoss(margin=1.0, size_average=None, reduce=None, reduction='mean')
  HuberLoss(reduction='mean', delta=1.0)
  KLDivLoss(size_average=None, reduce=None, reduction='mean', log_target=False)
  L1Loss(size_average=None, reduce=None, reduction='mean')
  MSELoss(size_average=None, reduce=None, reduction='mean')
  MarginRankingLoss(margin=0.0, size_average=None, reduce=None, reduction='mean')
  MultiLabelMarginLoss(size_average=None, reduce=None, reduction='mean')
  PoissonNLLLoss(log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction='mean')
  SmoothL1Loss(size_average=None, reduce=None, reduction='mean', beta=1.0)
  SoftMarginLoss(size_average=None, reduce=None, reduction='mean')
  TripletMarginLoss(margin=1.0, p=2.0, eps=1e-06, swap=False, size_average=None, reduce=None, reduction='mean')
  TripletMarginWithDistanceLoss(*, distance_function=None, margin=1.0, swap=False, reduction='mean')
`);

/** A weight per class has one dimension; its length is known only when the caller knows the tensor. */
const weighted = (rank: number | null): Content => (a) => {
  const shape = (value: unknown): Dim[] | null => tensorShape(value) ?? (rank === null ? null : Array.from({ length: rank }, () => null));
  return {
    parameters: [
      ...when(given(a.weight), buffer('weight', shape(a.weight))),
      ...('pos_weight' in a ? when(given(a.pos_weight), buffer('pos_weight', shape(a.pos_weight))) : []),
    ],
  };
};

const AVERAGE = "size_average=None, reduce=None, reduction='mean'";
const IGNORE = "weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean'";

const adaptive: Content = (a) => {
  const head = (clusters: Dim, shortlist: unknown): TorchChild => child('head', 'torch.nn.Linear', {
    in_features: a.in_features, out_features: plus(shortlist, clusters) ?? undefined, bias: a.head_bias });
  if (!Array.isArray(a.cutoffs)) return { children: [head(null, undefined), { name: 'tail.*', module: undefined, optional: true }] };
  const cutoffs: unknown[] = [...(a.cutoffs as unknown[]), a.n_classes];
  const divide = typeof a.div_value === 'number' ? a.div_value : null;
  const tail = cutoffs.slice(1).flatMap((end, i): TorchChild[] => {
    const hidden = divide === null ? undefined : over(a.in_features, divide ** (i + 1)) ?? floorDivide(a.in_features, divide ** (i + 1));
    const start = cutoffs[i];
    const size = typeof end === 'number' && typeof start === 'number' ? end - start : undefined;
    return [
      child(`tail.${i}.0`, 'torch.nn.Linear', { in_features: a.in_features, out_features: hidden, bias: false }),
      child(`tail.${i}.1`, 'torch.nn.Linear', { in_features: hidden, out_features: size, bias: false }),
    ];
  });
  return { children: [head(cutoffs.length - 1, cutoffs[0]), ...tail] };
};

/** `int(in_features // div_value ** i)` for a fractional div_value. */
function floorDivide(value: unknown, by: number): number | undefined {
  const top = dim(value);
  return top === null || by === 0 ? undefined : Math.floor(top / by);
}

export const losses: readonly TorchModuleSpec[] = [
  ...plain,
  module('torch.nn.BCELoss', `weight=None, ${AVERAGE}`, weighted(null)),
  module('torch.nn.BCEWithLogitsLoss', `weight=None, ${AVERAGE}, pos_weight=None`, weighted(null)),
  module('torch.nn.CrossEntropyLoss', `${IGNORE}, label_smoothing=0.0`, weighted(1)),
  module('torch.nn.MultiLabelSoftMarginLoss', `weight=None, ${AVERAGE}`, weighted(null)),
  module('torch.nn.MultiMarginLoss', `p=1, margin=1.0, weight=None, ${AVERAGE}`, weighted(1)),
  module('torch.nn.NLLLoss', IGNORE, weighted(1)),
  module('torch.nn.NLLLoss2d', IGNORE, weighted(1)),
  module('torch.nn.AdaptiveLogSoftmaxWithLoss', 'in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None',
    adaptive, { role: 'other' }),
];

