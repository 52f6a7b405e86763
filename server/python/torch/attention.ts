/** MultiheadAttention and the Transformer family, whose layers are deep copies of one prototype. */
import {
  both, child, childFrom, dim, equal, given, module, over, parameter, repeated, times, truth, when,
  type Content, type TableModule, type TorchArgs, type TorchChild, type TorchModuleSpec,
} from './spec';

/** `kdim=None` means embed_dim. */
const width = (own: unknown, embed: unknown): unknown => (own === null ? embed : own);

const multihead: Content = (a) => {
  const embed = dim(a.embed_dim);
  const [k, v] = [width(a.kdim, a.embed_dim), width(a.vdim, a.embed_dim)];
  // One packed projection when keys and values have the width of the queries, else three.
  const packed = a.kdim === null && a.vdim === null ? true : both(equal(k, a.embed_dim), equal(v, a.embed_dim));
  return {
    parameters: [
      ...when(packed, parameter('in_proj_weight', [times(3, embed), embed])),
      ...when(packed === undefined ? undefined : !packed,
        parameter('q_proj_weight', [embed, embed]), parameter('k_proj_weight', [embed, dim(k)]), parameter('v_proj_weight', [embed, dim(v)])),
      ...when(truth(a.bias), parameter('in_proj_bias', [times(3, embed)])),
      ...when(truth(a.add_bias_kv), parameter('bias_k', [1, 1, embed]), parameter('bias_v', [1, 1, embed])),
    ],
    children: [child('out_proj', 'torch.nn.modules.linear.NonDynamicallyQuantizableLinear', { in_features: a.embed_dim, out_features: a.embed_dim, bias: a.bias })],
  };
};

/** `kdim` and `vdim` are filled in; heads share the width evenly. */
const attributes = (a: TorchArgs): Record<string, unknown> =>
  ({ kdim: width(a.kdim, a.embed_dim), vdim: width(a.vdim, a.embed_dim), head_dim: over(a.embed_dim, a.num_heads) ?? undefined });

const LAYER = 'd_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-05, batch_first=False, '
  + 'norm_first=False, bias=True, device=None, dtype=None';

/** The activation is a submodule only when the caller passes a module; names and functions of F hold nothing. */
const activation = (a: TorchArgs): TorchChild[] =>
  (typeof a.activation === 'object' && a.activation !== null && !('python' in a.activation) ? [childFrom('activation', a.activation)] : []);

const attention = (name: string, a: TorchArgs): TorchChild =>
  child(name, 'torch.nn.MultiheadAttention', { embed_dim: a.d_model, num_heads: a.nhead, dropout: a.dropout, bias: a.bias, batch_first: a.batch_first });
const dropout = (name: string, a: TorchArgs): TorchChild => child(name, 'torch.nn.Dropout', { p: a.dropout });
const layerNorm = (name: string, a: TorchArgs): TorchChild =>
  child(name, 'torch.nn.LayerNorm', { normalized_shape: a.d_model, eps: a.layer_norm_eps, bias: a.bias });
const feedForward = (a: TorchArgs): TorchChild[] => [
  child('linear1', 'torch.nn.Linear', { in_features: a.d_model, out_features: a.dim_feedforward, bias: a.bias }),
  dropout('dropout', a),
  child('linear2', 'torch.nn.Linear', { in_features: a.dim_feedforward, out_features: a.d_model, bias: a.bias }),
];

const encoderLayer: Content = (a) => ({
  children: [attention('self_attn', a), ...feedForward(a), layerNorm('norm1', a), layerNorm('norm2', a),
    dropout('dropout1', a), dropout('dropout2', a), ...activation(a)],
});

const decoderLayer: Content = (a) => ({
  children: [attention('self_attn', a), attention('multihead_attn', a), ...feedForward(a),
    layerNorm('norm1', a), layerNorm('norm2', a), layerNorm('norm3', a),
    dropout('dropout1', a), dropout('dropout2', a), dropout('dropout3', a), ...activation(a)],
});

/** `layers` is a list of deep copies; `norm` is the very module that was passed. */
const stack = (prototype: string): Content => (a) => ({
  children: [
    ...repeated(a.num_layers, (name) => childFrom(`layers.${name}`, a[prototype], true)),
    ...when(given(a.norm), childFrom('norm', a.norm)),
  ],
});

const LAYER_ARGS = ['d_model', 'nhead', 'dim_feedforward', 'dropout', 'activation', 'layer_norm_eps', 'batch_first', 'norm_first', 'bias'];

const transformer: Content = (a) => {
  const layer = (spec: string): TableModule => ({ spec, args: Object.fromEntries(LAYER_ARGS.map((name) => [name, a[name]])) });
  const finalNorm: TableModule = { spec: 'torch.nn.LayerNorm', args: { normalized_shape: a.d_model, eps: a.layer_norm_eps, bias: a.bias } };
  const part = (name: 'encoder' | 'decoder', kind: string, custom: unknown): TorchChild => (custom === null
    ? child(name, `torch.nn.Transformer${kind}`, {
      [`${name}_layer`]: layer(`torch.nn.Transformer${kind}Layer`), num_layers: a[`num_${name}_layers`], norm: finalNorm })
    : childFrom(name, custom));
  return { children: [part('encoder', 'Encoder', a.custom_encoder), part('decoder', 'Decoder', a.custom_decoder)] };
};

const MULTIHEAD = 'embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None, '
  + 'batch_first=False, device=None, dtype=None';

/** The quantizable one keeps three Linear layers instead of a packed projection. */
const quantizableMultihead: Content = (a) => ({
  parameters: when(truth(a.add_bias_kv), parameter('bias_k', [1, 1, dim(a.embed_dim)]), parameter('bias_v', [1, 1, dim(a.embed_dim)])),
  children: [
    child('out_proj', 'torch.nn.Linear', { in_features: a.embed_dim, out_features: a.embed_dim, bias: a.bias }),
    child('linear_Q', 'torch.nn.Linear', { in_features: a.embed_dim, out_features: a.embed_dim, bias: a.bias }),
    child('linear_K', 'torch.nn.Linear', { in_features: width(a.kdim, a.embed_dim), out_features: a.embed_dim, bias: a.bias }),
    child('linear_V', 'torch.nn.Linear', { in_features: width(a.vdim, a.embed_dim), out_features: a.embed_dim, bias: a.bias }),
  ],
});

export const attentionFamily: readonly TorchModuleSpec[] = [
  module('torch.nn.MultiheadAttention', MULTIHEAD, multihead, { role: 'attention', attributes }),
  module('torch.nn.TransformerEncoderLayer', LAYER, encoderLayer, { role: 'other' }),
  module('torch.nn.TransformerDecoderLayer', LAYER, decoderLayer, { role: 'other' }),
  module('torch.nn.TransformerEncoder', 'encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True', stack('encoder_layer'), { role: 'other' }),
  module('torch.nn.TransformerDecoder', 'decoder_layer, num_layers, norm=None', stack('decoder_layer'), { role: 'other' }),
  module('torch.nn.Transformer', 'd_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1, '
    + 'activation=F.relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-05, batch_first=False, norm_first=False, bias=True, '
    + 'device=None, dtype=None', transformer, { role: 'other' }),
  module('torch.ao.nn.quantizable.MultiheadAttention', MULTIHEAD, quantizableMultihead, { role: 'attention' }),
];
