/**
 * Tensor names of llama.cpp and of the Hugging Face modules they come from, by architecture, and what llama.cpp changes when it
 * converts (convert_hf_to_gguf.py, gguf-py/gguf/tensor_mapping.py of github.com/ggml-org/llama.cpp).
 */

/** Names without `.weight` and `.bias`; `N` is the number of the block. */
export type Names = Readonly<Record<string, string>>;

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

export interface GgufArchitecture {
  readonly names: Names;
  /** Rows of these are reordered within each head, so that pairs of the rotary embedding lie side by side. */
  readonly permuted?: boolean;
  /** Gemma's norms multiply by 1 + weight; llama.cpp stores the sum. */
  readonly plusOne?: boolean;
  /** GPT-2's Conv1D holds its matrices the other way round. */
  readonly transposed?: RegExp;
}

export const GGUF_ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map<string, GgufArchitecture>([
  ['llama', { names: DECODER, permuted: true }], ['qwen2', { names: DECODER }], ['qwen3', { names: DECODER }], ['phi3', { names: { ...DECODER, 'blk.N.ffn_up': 'model.layers.N.mlp.gate_up_proj' } }],
  ['gemma', { names: DECODER, plusOne: true }], ['gemma2', { names: SANDWICH, plusOne: true }], ['gemma3', { names: SANDWICH, plusOne: true }],
  ['bert', { names: BERT }], ['gpt2', { names: GPT2, transposed: /\.(?:attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/ }],
]);

/** Experts of decoders: known by name, whatever the architecture is called. */
const EXPERTS: Names = {
  'blk.N.ffn_gate_inp': 'model.layers.N.mlp.gate', 'blk.N.ffn_gate_exps': 'model.layers.N.mlp.experts.gate_proj', 'blk.N.ffn_up_exps': 'model.layers.N.mlp.experts.up_proj',
  'blk.N.ffn_down_exps': 'model.layers.N.mlp.experts.down_proj',
};
/** Of decoders whose architecture is none of the known. */
const ANY_DECODER: Names = { ...DECODER, ...EXPERTS };

/** `blk.3.attn_q.weight` as `model.layers.3.self_attn.q_proj.weight`; null for other names. */
export const decoderName = (name: string): string | null => modelName(name, ANY_DECODER);

/** The name in a Hugging Face model of a tensor that a GGUF file calls `name`; null where the architecture has none of it. */
export function modelName(name: string, names: Names): string | null {
  const parts = /^(?:blk\.(\d{1,6})\.)?([a-z0-9_]+)\.(weight|bias)$/.exec(name);
  if (!parts) return null;
  const [, block, rest, ending] = parts;
  const key = block === undefined ? rest! : `blk.N.${rest!}`;
  return Object.hasOwn(names, key) ? `${names[key]!.replace('.N.', `.${block}.`)}.${ending}` : null;
}


const inverted = new Map<Names, ReadonlyMap<string, string>>();

/** Inverse of {@link modelName}. Models are saved with and without the name of the part that holds the blocks. */
export function ggufName(name: string, names: Names): string | null {
  let inverse = inverted.get(names);
  if (!inverse) inverted.set(names, inverse = new Map(Object.entries(names).map(([gguf, model]) => [model, gguf])));
  const ending = /^(.*)\.(weight|bias)$/.exec(name);
  if (!ending) return null;
  for (const whole of [ending[1]!, `model.${ending[1]!}`, `transformer.${ending[1]!}`, ending[1]!.replace(/^(?:bert|model|language_model)\./, '')]) {
    const block = /\.(\d{1,6})\./.exec(whole);
    const found = inverse.get(block ? whole.replace(block[0], '.N.') : whole);
    if (found !== undefined) return `${block ? found.replace('N', block[1]!) : found}.${ending[2]!}`;
  }
  return null;
}

/** What llama.cpp does to a tensor when it converts; kernels/stored/ggml.ts undoes it. */
export interface GgufChanges {
  /** Heads whose rows are reordered. */
  readonly heads?: number;
  /** Added to every value. */
  readonly plus?: number;
  readonly transposed?: true;
}

/**
 * @param name as in the GGUF file
 * @param shape on either side: of the transposed ones only the rank matters
 * @returns null where it cannot be known
 */
export function ggufChanges(name: string, shape: readonly number[], architecture: GgufArchitecture, heads: number | null, keyHeads: number | null): GgufChanges | null {
  const projection = /\.attn_([qk])\.(?:weight|bias)$/.exec(name)?.[1];
  if (architecture.permuted && projection) {
    const count = projection === 'q' ? heads : keyHeads;
    return count !== null && shape.length > 0 && shape[0]! % (2 * count) === 0 ? { heads: count } : null;
  }
  if (architecture.plusOne && /norm\.weight$/.test(name)) return { plus: 1 };
  if (architecture.transposed?.test(name)) return shape.length === 2 ? { transposed: true } : null;
  return {};
}
