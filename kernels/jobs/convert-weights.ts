/** Which tensors of a checkpoint are weights to quantize when there is no model to say so: by shape and name, as other tools choose. */
import { elementCount, FLOAT_DTYPES, type TensorInfo } from '../checkpoint';

const NORM = /(^|[._])(?:\w*norm\d*|ln_?\w{0,3}|layernorm\w*|layer_norm\w*)\.(?:weight|scale|gamma)$/i;
const EMBEDDING = /(^|[._])(?:embed\w*|\w*_embeddings?|embeddings?|wte|wpe|shared|relative_attention_bias|pos_embed|position_ids|cls_token)(?:\.weight|\.embeddings?)?$/i;
const HEAD = /(^|\.)(?:lm_head|embed_out|output_projection)\.weight$/i;
const ROUTER = /\.(?:gate|router|router\.classifier|block_sparse_moe\.gate)\.weight$/;

/** Why the values of a tensor are no weight that a format replaces; null when they are. */
function noWeight({ dtype, shape, data }: TensorInfo): string | null {
  if (!FLOAT_DTYPES.has(dtype)) return `${dtype} values`;
  if (data === null || elementCount(shape) === 0) return 'no values';
  return shape.length < 2 ? 'a vector' : null;
}

/** Rules of most quantizers of safetensors checkpoints: matrices and kernels, but no embeddings, heads, norms and routers. */
export function whyKept(tensor: TensorInfo): string | null {
  const { name } = tensor;
  return noWeight(tensor) ?? (NORM.test(name) ? 'a norm' : EMBEDDING.test(name) ? 'an embedding' : HEAD.test(name) ? 'the output layer' : ROUTER.test(name) ? 'a router' : null);
}

/** Kept by llama.cpp's quantizer (src/llama-quant.cpp), by parts of their names. */
const GGUF_KEPT = /_norm\.|ffn_gate_inp\.|altup|laurel|per_layer_model_proj|pos_embd|position_embd|token_types|ssm_conv1d|shortconv\.conv|time_mix_|attn_rel_b|\.position_embd/;

/** @param name in the GGUF file @param known whether it is a name of llama.cpp */
export function whyKeptInGguf(tensor: TensorInfo, name: string, known: boolean): string | null {
  const reason = noWeight(tensor);
  if (reason !== null) return reason;
  if (known) return !name.endsWith('weight') ? 'no weight' : GGUF_KEPT.test(name) ? 'llama.cpp keeps it' : null;
  return NORM.test(name) ? 'a norm' : /pos/i.test(name) && EMBEDDING.test(name) ? 'an embedding of positions' : null;
}
