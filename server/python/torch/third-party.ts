/**
 * Modules of other packages that public model code imports and whose content is stable and well known. What differs
 * between releases of a package, or depends on its run-time state, is not here: an unknown module is better than a guess.
 */
import {
  attributeTuple, called, child, childFrom, dim, given, module, over, parameter, plus, shapeOf, times, truth, tuple, weightless, when,
  buffer, type Content, type TorchArgs, type TorchChild, type TorchModuleSpec,
} from './spec';

const linear = (name: string, input: unknown, output: unknown, bias: unknown = true): TorchChild =>
  child(name, 'torch.nn.Linear', { in_features: input, out_features: output, bias });

/** `a or b` of Python for a width; undefined when unknown. */
const or = (value: unknown, otherwise: unknown): unknown => {
  const known = truth(value);
  return known === undefined ? undefined : known ? value : otherwise;
};

const byWidth = (argument: string): Content => (a) => ({ parameters: [parameter('weight', shapeOf(a[argument]))] });

// ---- timm ----

const mlp: Content = (a) => {
  const hidden = or(a.hidden_features, a.in_features);
  const Projection = (name: string, input: unknown, output: unknown): TorchChild => (truth(a.use_conv) === true
    ? child(name, 'torch.nn.Conv2d', { in_channels: input, out_channels: output, kernel_size: 1, bias: a.bias })
    : linear(name, input, output, a.bias));
  return {
    children: [
      Projection('fc1', a.in_features, hidden),
      ...when(given(a.norm_layer), called('norm', a.norm_layer, [hidden], 'normalized_shape')),
      Projection('fc2', hidden, or(a.out_features, a.in_features)),
    ],
  };
};

const patchEmbed: Content = (a) => ({
  children: [
    child('proj', 'torch.nn.Conv2d', { in_channels: a.in_chans, out_channels: a.embed_dim, kernel_size: tuple(a.patch_size, 2).map((size) => size ?? undefined), stride: a.patch_size, bias: a.bias }),
    ...when(truth(a.norm_layer), called('norm', a.norm_layer, [a.embed_dim], 'normalized_shape')),
  ],
});

/** Models size their position embedding by `patch_embed.num_patches`. */
const patchGrid = (a: TorchArgs): Record<string, unknown> => {
  const [size, patch] = [tuple(a.img_size, 2), tuple(a.patch_size, 2)];
  const grid = [0, 1].map((axis) => over(size[axis], patch[axis]) ?? undefined);
  return {
    img_size: attributeTuple(a.img_size, 2), patch_size: attributeTuple(a.patch_size, 2), grid_size: grid,
    patches_resolution: grid, num_patches: times(...grid) ?? undefined,
  };
};

const timmAttention: Content = (a) => {
  const heads = dim(a.num_heads);
  const width = dim(a.dim);
  const perHead = heads && width !== null ? Math.floor(width / heads) : undefined;
  return {
    children: [
      linear('qkv', a.dim, times(a.dim, 3) ?? undefined, a.qkv_bias),
      ...when(truth(a.qk_norm), called('q_norm', a.norm_layer, [perHead], 'normalized_shape'), called('k_norm', a.norm_layer, [perHead], 'normalized_shape')),
      linear('proj', a.dim, a.dim, a.proj_bias),
    ],
  };
};

const timmBlock: Content = (a) => {
  const hidden = typeof a.mlp_ratio === 'number' && dim(a.dim) !== null ? Math.trunc(dim(a.dim)! * a.mlp_ratio) : undefined;
  const scale = (name: string): TorchChild[] => when(truth(a.init_values), child(name, 'timm.layers.LayerScale', { dim: a.dim }));
  return {
    children: [
      called('norm1', a.norm_layer, [a.dim], 'normalized_shape'),
      child('attn', 'timm.models.vision_transformer.Attention', {
        dim: a.dim, num_heads: a.num_heads, qkv_bias: a.qkv_bias, qk_norm: a.qk_norm, proj_bias: a.proj_bias, norm_layer: a.norm_layer }),
      ...scale('ls1'),
      called('norm2', a.norm_layer, [a.dim], 'normalized_shape'),
      child('mlp', 'timm.layers.Mlp', { in_features: a.dim, hidden_features: hidden, bias: a.proj_bias }),
      ...scale('ls2'),
    ],
  };
};

const timm: readonly TorchModuleSpec[] = [
  ...weightless('timm.layers', 'DropPath(drop_prob=0.0, scale_by_keep=True)\nFormat(*args, **kwargs)'),
  module('timm.layers.Mlp', 'in_features, hidden_features=None, out_features=None, act_layer=nn.GELU, norm_layer=None, bias=True, drop=0.0, use_conv=False', mlp),
  module('timm.layers.PatchEmbed', 'img_size=224, patch_size=16, in_chans=3, embed_dim=768, norm_layer=None, flatten=True, output_fmt=None, '
    + 'bias=True, strict_img_size=True, dynamic_img_pad=False', patchEmbed, { attributes: patchGrid }),
  module('timm.layers.LayerScale', 'dim, init_values=1e-05, inplace=False', (a) => ({ parameters: [parameter('gamma', [dim(a.dim)])] })),
  module('timm.layers.LayerNorm2d', 'num_channels, eps=1e-06, affine=True', (a) => ({
    parameters: when(truth(a.affine), parameter('weight', [dim(a.num_channels)]), parameter('bias', [dim(a.num_channels)])) }), { role: 'norm' }),
  module('timm.models.vision_transformer.Attention', 'dim, num_heads=8, qkv_bias=False, qk_norm=False, proj_bias=True, attn_drop=0.0, proj_drop=0.0, norm_layer=nn.LayerNorm',
    timmAttention),
  module('timm.models.vision_transformer.Block', 'dim, num_heads, mlp_ratio=4.0, qkv_bias=False, qk_norm=False, proj_bias=True, proj_drop=0.0, '
    + 'attn_drop=0.0, init_values=None, drop_path=0.0, act_layer=nn.GELU, norm_layer=nn.LayerNorm, mlp_layer=Mlp', timmBlock),
];

// ---- torchvision.ops ----

const normActivation = (n: 2 | 3): Content => (a) => {
  const named = typeof a.norm_layer === 'object' && a.norm_layer !== null && 'python' in a.norm_layer;
  const normed = given(a.norm_layer);
  const bias = a.bias === null ? (normed === undefined ? undefined : !normed) : a.bias;
  return {
    children: [
      child('0', `torch.nn.Conv${n}d`, { in_channels: a.in_channels, out_channels: a.out_channels, kernel_size: a.kernel_size, groups: a.groups, bias }),
      ...when(normed, named ? child('1', `torch.nn.BatchNorm${n}d`, { num_features: a.out_channels }) : called('1', a.norm_layer, [a.out_channels], 'num_features')),
    ],
  };
};

const CONV_NORM = (n: number): string => `in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1, norm_layer=nn.BatchNorm${n}d, `
  + 'activation_layer=nn.ReLU, dilation=1, inplace=True, bias=None';

/** An MLP is one Sequential: Linear, [norm], activation, dropout for each hidden width, then Linear and dropout. */
const opsMlp: Content = (a) => {
  if (!Array.isArray(a.hidden_channels) || given(a.norm_layer) === undefined) return { children: [{ name: '*', module: undefined, optional: true }] };
  const widths = a.hidden_channels as unknown[];
  const children: TorchChild[] = [];
  let index = 0;
  let input = a.in_channels;
  widths.forEach((width, layer) => {
    children.push(linear(String(index), input, width, a.bias));
    index += 1;
    if (layer < widths.length - 1) {
      if (a.norm_layer !== null) { children.push(called(String(index), a.norm_layer, [width], 'normalized_shape')); index += 1; }
      index += 1; // the activation
    }
    index += 1; // the dropout
    input = width;
  });
  return { children };
};

const pyramid: Content = (a) => {
  if (!Array.isArray(a.in_channels_list)) return { children: [{ name: '*', module: undefined, optional: true }] };
  const block = (group: string, kernel: number) => (input: unknown, index: number): TorchChild =>
    child(`${group}.${index}`, 'torchvision.ops.Conv2dNormActivation', {
      in_channels: group === 'inner_blocks' ? input : a.out_channels, out_channels: a.out_channels, kernel_size: kernel, norm_layer: a.norm_layer });
  const widths = (a.in_channels_list as unknown[]).filter((width) => width !== 0);
  return {
    children: [
      ...widths.map(block('inner_blocks', 1)), ...widths.map(block('layer_blocks', 3)),
      ...when(given(a.extra_blocks), childFrom('extra_blocks', a.extra_blocks)),
    ],
  };
};

const torchvision: readonly TorchModuleSpec[] = [
  module('torchvision.ops.FrozenBatchNorm2d', 'num_features, eps=1e-05', (a) => ({
    parameters: ['weight', 'bias', 'running_mean', 'running_var'].map((name) => buffer(name, [dim(a.num_features)])) }), { role: 'norm' }),
  module('torchvision.ops.Conv2dNormActivation', CONV_NORM(2), normActivation(2)),
  module('torchvision.ops.Conv3dNormActivation', CONV_NORM(3), normActivation(3)),
  module('torchvision.ops.SqueezeExcitation', 'input_channels, squeeze_channels, activation=nn.ReLU, scale_activation=nn.Sigmoid', (a) => ({
    children: [
      child('fc1', 'torch.nn.Conv2d', { in_channels: a.input_channels, out_channels: a.squeeze_channels, kernel_size: 1 }),
      child('fc2', 'torch.nn.Conv2d', { in_channels: a.squeeze_channels, out_channels: a.input_channels, kernel_size: 1 }),
    ] })),
  module('torchvision.ops.MLP', 'in_channels, hidden_channels, norm_layer=None, activation_layer=nn.ReLU, inplace=None, bias=True, dropout=0.0', opsMlp),
  module('torchvision.ops.DeformConv2d', 'in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True', (a) => ({
    parameters: [
      parameter('weight', [dim(a.out_channels), dim(a.in_channels) === null || !dim(a.groups) ? null : Math.floor(dim(a.in_channels)! / dim(a.groups)!), ...tuple(a.kernel_size, 2)]),
      ...when(truth(a.bias), parameter('bias', [dim(a.out_channels)])),
    ] }), { role: 'conv' }),
  module('torchvision.ops.FeaturePyramidNetwork', 'in_channels_list, out_channels, extra_blocks=None, norm_layer=None', pyramid),
  ...weightless('torchvision.ops', `
    StochasticDepth(p, mode)
    Permute(dims)
    DropBlock2d(p, block_size, inplace=False, eps=1e-06)
    DropBlock3d(p, block_size, inplace=False, eps=1e-06)
    RoIAlign(output_size, spatial_scale, sampling_ratio, aligned=False)
    RoIPool(output_size, spatial_scale)
    PSRoIAlign(output_size, spatial_scale, sampling_ratio)
    PSRoIPool(output_size, spatial_scale)
    MultiScaleRoIAlign(featmap_names, output_size, sampling_ratio, *, canonical_scale=224, canonical_level=4)
  `),
];

// ---- language-model libraries ----

const conv1d: Content = (a) => ({ parameters: [parameter('weight', [dim(a.nx), dim(a.nf)]), parameter('bias', [dim(a.nf)])] });

/** Shapes are those of one process: with tensor parallelism each holds a slice. */
const parallel = (input: string, output: string): Content => (a: TorchArgs) => ({
  parameters: [
    parameter('weight', [Array.isArray(a[output]) ? plus(...(a[output] as unknown[])) : dim(a[output]), dim(a[input])]),
    ...when(truth(a.bias), parameter('bias', [Array.isArray(a[output]) ? plus(...(a[output] as unknown[])) : dim(a[output])])),
  ],
});
const rows: Content = (a) => ({ parameters: [parameter('weight', [dim(a.num_embeddings), dim(a.embedding_dim)])] });
const affine: Content = (a) => ({
  parameters: when(truth(a.elementwise_affine), parameter('weight', shapeOf(a.normalized_shape)), parameter('bias', shapeOf(a.normalized_shape))),
});
const scaleOnly: Content = (a) => ({ parameters: when(truth(a.elementwise_affine), parameter('weight', shapeOf(a.normalized_shape))) });

const norms: readonly TorchModuleSpec[] = [
  ...['FusedLayerNorm', 'MixedFusedLayerNorm'].map((name) =>
    module(`apex.normalization.${name}`, 'normalized_shape, eps=1e-05, elementwise_affine=True, memory_efficient=False', affine, { role: 'norm' })),
  ...['FusedRMSNorm', 'MixedFusedRMSNorm'].map((name) =>
    module(`apex.normalization.${name}`, 'normalized_shape, eps=1e-05, elementwise_affine=True, memory_efficient=False', scaleOnly, { role: 'norm' })),
  module('flash_attn.ops.rms_norm.RMSNorm', 'hidden_size, eps=1e-05, device=None, dtype=None', byWidth('hidden_size'), { role: 'norm' }),
  ...['flash_attn.ops.triton.layer_norm', 'mamba_ssm.ops.triton.layernorm', 'mamba_ssm.ops.triton.layer_norm'].map((home) =>
    module(`${home}.RMSNorm`, 'hidden_size, eps=1e-05, *, device=None, dtype=None, **kwargs', byWidth('hidden_size'), { role: 'norm' })),
  module('xformers.ops.RMSNorm', 'dim, include_weight=True, eps=1e-05', (a) => ({
    parameters: when(truth(a.include_weight), parameter('weight', [dim(a.dim)])) }), { role: 'norm' }),
  module('transformers.models.llama.modeling_llama.LlamaRMSNorm', 'hidden_size, eps=1e-06', byWidth('hidden_size'), { role: 'norm' }),
  module('transformers.models.mistral.modeling_mistral.MistralRMSNorm', 'hidden_size, eps=1e-06', byWidth('hidden_size'), { role: 'norm' }),
  module('transformers.models.qwen2.modeling_qwen2.Qwen2RMSNorm', 'hidden_size, eps=1e-06', byWidth('hidden_size'), { role: 'norm' }),
  module('transformers.models.t5.modeling_t5.T5LayerNorm', 'hidden_size, eps=1e-06', byWidth('hidden_size'), { role: 'norm' }),
  module('vllm.model_executor.layers.layernorm.RMSNorm', 'hidden_size, eps=1e-06, **kwargs', byWidth('hidden_size'), { role: 'norm' }),
];

const FAIRSCALE = 'in_features, out_features, bias=True, **kwargs';
const MEGATRON = 'input_size, output_size, *, bias=True, **kwargs';
const VLLM = 'input_size, output_size, bias=True, *args, **kwargs';

const parallels: readonly TorchModuleSpec[] = [
  ...['fairscale.nn.model_parallel', 'fairscale.nn.model_parallel.layers'].flatMap((home) => [
    module(`${home}.ColumnParallelLinear`, FAIRSCALE, parallel('in_features', 'out_features'), { role: 'linear' }),
    module(`${home}.RowParallelLinear`, FAIRSCALE, parallel('in_features', 'out_features'), { role: 'linear' }),
    module(`${home}.ParallelEmbedding`, 'num_embeddings, embedding_dim, **kwargs', rows, { role: 'embedding' }),
    module(`${home}.VocabParallelEmbedding`, 'num_embeddings, embedding_dim, **kwargs', rows, { role: 'embedding' }),
  ]),
  ...['megatron.core.tensor_parallel', 'megatron.core.tensor_parallel.layers'].flatMap((home) => [
    module(`${home}.ColumnParallelLinear`, MEGATRON, parallel('input_size', 'output_size'), { role: 'linear' }),
    module(`${home}.RowParallelLinear`, MEGATRON, parallel('input_size', 'output_size'), { role: 'linear' }),
    module(`${home}.VocabParallelEmbedding`, 'num_embeddings, embedding_dim, **kwargs', rows, { role: 'embedding' }),
  ]),
  ...['ColumnParallelLinear', 'RowParallelLinear', 'ReplicatedLinear'].map((name) =>
    module(`vllm.model_executor.layers.linear.${name}`, VLLM, parallel('input_size', 'output_size'), { role: 'linear' })),
  module('vllm.model_executor.layers.linear.MergedColumnParallelLinear', VLLM.replace('output_size', 'output_sizes'),
    parallel('input_size', 'output_sizes'), { role: 'linear' }),
  module('vllm.model_executor.layers.activation.SiluAndMul', '*args, **kwargs'),
];

const languageModels: readonly TorchModuleSpec[] = [
  module('transformers.pytorch_utils.Conv1D', 'nf, nx', conv1d, { role: 'linear', outputAxis: 1 }),
  module('transformers.modeling_utils.Conv1D', 'nf, nx', conv1d, { role: 'linear', outputAxis: 1 }),
  ...weightless('transformers.activations', `
    GELUActivation(use_gelu_python=False)
    NewGELUActivation()
    FastGELUActivation()
    QuickGELUActivation()
    PytorchGELUTanh()
    SiLUActivation()
    MishActivation()
    LinearActivation()
    ReLUSquaredActivation()
  `, 'activation'),
  ...norms, ...parallels,
  module('xformers.ops.SwiGLU', 'in_features, hidden_features, out_features=None, bias=True, *, _pack_weights=True', (a) => ({
    children: [
      ...(truth(a._pack_weights) === false
        ? [linear('w1', a.in_features, a.hidden_features, a.bias), linear('w2', a.in_features, a.hidden_features, a.bias)]
        : [linear('w12', a.in_features, times(2, a.hidden_features) ?? undefined, a.bias)]),
      linear('w3', a.hidden_features, or(a.out_features, a.in_features), a.bias),
    ] })),
  module('flash_attn.modules.mlp.Mlp', 'in_features, hidden_features=None, out_features=None, activation=F.gelu, bias1=True, bias2=True, '
    + 'return_residual=False, device=None, dtype=None', (a) => {
    const hidden = a.hidden_features === null ? times(4, a.in_features) ?? undefined : a.hidden_features;
    return { children: [linear('fc1', a.in_features, hidden, a.bias1), linear('fc2', hidden, a.out_features === null ? a.in_features : a.out_features, a.bias2)] };
  }),
];

// ---- bitsandbytes, einops ----

const small: readonly TorchModuleSpec[] = [
  module('bitsandbytes.nn.Linear8bitLt', 'input_features, output_features, bias=True, has_fp16_weights=True, threshold=0.0, index=None, device=None',
    parallel('input_features', 'output_features'), { role: 'linear' }),
  // Packed two values a byte once it has been moved to the accelerator: the source does not say which of the two was saved.
  ...['Linear4bit', 'LinearNF4', 'LinearFP4'].map((name) =>
    module(`bitsandbytes.nn.${name}`, 'input_features, output_features, bias=True, compute_dtype=None, compress_statistics=True, **kwargs', (a) => ({
      parameters: [parameter('weight', null), ...when(truth(a.bias), parameter('bias', [dim(a.output_features)]))] }), { role: 'linear' })),
  module('bitsandbytes.nn.Embedding', 'num_embeddings, embedding_dim, padding_idx=None, **kwargs', rows, { role: 'embedding' }),
  module('bitsandbytes.nn.StableEmbedding', 'num_embeddings, embedding_dim, padding_idx=None, **kwargs', (a) => ({
    ...rows(a), children: [child('norm', 'torch.nn.LayerNorm', { normalized_shape: a.embedding_dim })] }), { role: 'embedding' }),
  ...weightless('einops.layers.torch', 'Rearrange(pattern, **axes_lengths)\nReduce(pattern, reduction, **axes_lengths)'),
];

export const thirdParty: readonly TorchModuleSpec[] = [...timm, ...torchvision, ...languageModels, ...small];
