/**
 * Names of the Hugging Face modules that a GGUF file's tensors were converted from. llama.cpp renames tensors and changes some
 * (convert_hf_to_gguf.py, gguf-py/gguf/tensor_mapping.py of github.com/ggml-org/llama.cpp); what it changed is undone when values are
 * read, so that they are the model's own.
 */
import { FLOAT_DTYPES, shownDtype, type Checkpoint, type DerivedTensor, type TensorInfo } from './checkpoint';
import { ggmlTypeNamed } from './ggml-types';

/** Names without `.weight` and `.bias`; `N` is the number of the block. */
type Names = Readonly<Record<string, string>>;

const DECODER: Names = {
  token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head',
  'blk.N.attn_norm': 'model.layers.N.input_layernorm', 'blk.N.attn_q': 'model.layers.N.self_attn.q_proj', 'blk.N.attn_k': 'model.layers.N.self_attn.k_proj',
  'blk.N.attn_v': 'model.layers.N.self_attn.v_proj', 'blk.N.attn_qkv': 'model.layers.N.self_attn.qkv_proj', 'blk.N.attn_output': 'model.layers.N.self_attn.o_proj',
  'blk.N.attn_q_norm': 'model.layers.N.self_attn.q_norm', 'blk.N.attn_k_norm': 'model.layers.N.self_attn.k_norm', 'blk.N.ffn_norm': 'model.layers.N.post_attention_layernorm',
  'blk.N.ffn_gate': 'model.layers.N.mlp.gate_proj', 'blk.N.ffn_up': 'model.layers.N.mlp.up_proj', 'blk.N.ffn_down': 'model.layers.N.mlp.down_proj',
};
/** Gemma 2 and 3 have a norm on both sides. */
const SANDWICH: Names = {
  ...DECODER, 'blk.N.post_attention_norm': 'model.layers.N.post_attention_layernorm', 'blk.N.ffn_norm': 'model.layers.N.pre_feedforward_layernorm',
  'blk.N.post_ffw_norm': 'model.layers.N.post_feedforward_layernorm',
};
const BERT: Names = {
  token_embd: 'embeddings.word_embeddings', position_embd: 'embeddings.position_embeddings', token_types: 'embeddings.token_type_embeddings', token_embd_norm: 'embeddings.LayerNorm',
  'blk.N.attn_q': 'encoder.layer.N.attention.self.query', 'blk.N.attn_k': 'encoder.layer.N.attention.self.key', 'blk.N.attn_v': 'encoder.layer.N.attention.self.value',
  'blk.N.attn_output': 'encoder.layer.N.attention.output.dense', 'blk.N.attn_output_norm': 'encoder.layer.N.attention.output.LayerNorm', 'blk.N.ffn_up': 'encoder.layer.N.intermediate.dense',
  'blk.N.ffn_down': 'encoder.layer.N.output.dense', 'blk.N.layer_output_norm': 'encoder.layer.N.output.LayerNorm',
};
const GPT2: Names = {
  token_embd: 'transformer.wte', position_embd: 'transformer.wpe', output_norm: 'transformer.ln_f', output: 'lm_head', 'blk.N.attn_norm': 'transformer.h.N.ln_1',
  'blk.N.attn_qkv': 'transformer.h.N.attn.c_attn', 'blk.N.attn_output': 'transformer.h.N.attn.c_proj', 'blk.N.ffn_norm': 'transformer.h.N.ln_2',
  'blk.N.ffn_up': 'transformer.h.N.mlp.c_fc', 'blk.N.ffn_down': 'transformer.h.N.mlp.c_proj',
};

interface Architecture {
  readonly names: Names;
  /** Rows of these are reordered within each head, so that pairs of the rotary embedding lie side by side. */
  readonly permuted?: boolean;
  /** Gemma's norms multiply by 1 + weight; llama.cpp stores the sum. */
  readonly plusOne?: boolean;
  /** GPT-2's Conv1D holds its matrices the other way round. */
  readonly transposed?: RegExp;
}

const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  ['llama', { names: DECODER, permuted: true }], ['qwen2', { names: DECODER }], ['qwen3', { names: DECODER }], ['phi3', { names: { ...DECODER, 'blk.N.ffn_up': 'model.layers.N.mlp.gate_up_proj' } }],
  ['gemma', { names: DECODER, plusOne: true }], ['gemma2', { names: SANDWICH, plusOne: true }], ['gemma3', { names: SANDWICH, plusOne: true }],
  ['bert', { names: BERT }], ['gpt2', { names: GPT2, transposed: /\.(?:attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/ }],
]);

/** The checkpoint with the weights under the names that they have in a Hugging Face model, where its architecture is a known one. */
export function withModelNames(checkpoint: Checkpoint): Checkpoint {
  const metadata = new Map(checkpoint.metadata);
  const name = metadata.get('general.architecture') ?? '';
  const architecture = ARCHITECTURES.get(name);
  if (!architecture) return checkpoint;
  const number = (key: string): number | null => {
    const value = Number(metadata.get(`${name}.${key}`) ?? NaN);
    return Number.isSafeInteger(value) && value > 0 ? value : null;
  };
  const heads = number('attention.head_count');
  const keyHeads = metadata.has(`${name}.attention.head_count_kv`) ? number('attention.head_count_kv') : heads;
  const taken = new Set(checkpoint.tensors.map((tensor) => tensor.name));
  const derived: DerivedTensor[] = [];
  for (const tensor of checkpoint.tensors) {
    const named = modelName(tensor.name, architecture.names);
    if (named === null || taken.has(named)) continue;
    const changed = changesOf(tensor, architecture, heads, keyHeads);
    if (changed === null) continue;
    taken.add(named);
    derived.push(derive(tensor, named, changed));
  }
  return derived.length === 0 ? checkpoint : { ...checkpoint, derived };
}

function modelName(name: string, names: Names): string | null {
  const parts = /^(?:blk\.(\d{1,6})\.)?([a-z0-9_]+)\.(weight|bias)$/.exec(name);
  if (!parts) return null;
  const [, block, rest, ending] = parts;
  const key = block === undefined ? rest! : `blk.N.${rest!}`;
  return Object.hasOwn(names, key) ? `${names[key]!.replace('.N.', `.${block}.`)}.${ending}` : null;
}

/** What llama.cpp did to a tensor, for kernels/stored/ggml.ts to undo; null where it cannot be known. */
interface Changes {
  /** Heads whose rows were reordered. */
  readonly heads?: number;
  /** Added to every value. */
  readonly plus?: number;
  readonly transposed?: true;
}

function changesOf(tensor: TensorInfo, architecture: Architecture, heads: number | null, keyHeads: number | null): Changes | null {
  const { name, shape } = tensor;
  if (!FLOAT_DTYPES.has(tensor.dtype) || tensor.data === null) return null;
  const projection = /\.attn_([qk])\.(?:weight|bias)$/.exec(name)?.[1];
  if (architecture.permuted && projection) {
    const count = projection === 'q' ? heads : keyHeads;
    return count !== null && shape.length > 0 && shape[0]! % (2 * count) === 0 ? { heads: count } : null;
  }
  if (architecture.plusOne && /norm\.weight$/.test(name)) return { plus: 1 };
  if (architecture.transposed?.test(name)) return shape.length === 2 ? { transposed: true } : null;
  return {};
}

function derive(tensor: TensorInfo, name: string, changes: Changes): DerivedTensor {
  const format = tensor.encoding?.format;
  return {
    name, dtype: tensor.dtype, shape: changes.transposed ? [...tensor.shape].reverse() : tensor.shape, bytes: tensor.bytes, data: tensor.data, replaces: [tensor.name],
    encoding: { layout: 'ggml', name: shownDtype(tensor), ...(format ? { format } : {}), options: { type: ggmlTypeNamed(shownDtype(tensor))!.id, ...changes } },
  };
}
