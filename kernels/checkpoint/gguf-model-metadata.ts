/**
 * Metadata of a GGUF file from a Hugging Face config.json, with the keys that llama.cpp reads for each architecture
 * (gguf-py/gguf/constants.py and convert_hf_to_gguf.py of github.com/ggml-org/llama.cpp).
 */
import type { JsonValue } from './checkpoint';
import type { GgufMetadataEntry } from './write-gguf';

type Config = { readonly [key: string]: JsonValue };

/** What config.json calls the models that llama.cpp knows, and what llama.cpp calls them. */
const MODEL_TYPES: ReadonlyMap<string, string> = new Map([
  ['llama', 'llama'], ['mistral', 'llama'], ['qwen2', 'qwen2'], ['qwen3', 'qwen3'], ['phi3', 'phi3'], ['gemma', 'gemma'], ['gemma2', 'gemma2'],
  ['gemma3_text', 'gemma3'], ['bert', 'bert'], ['gpt2', 'gpt2'],
]);

export interface GgufModel {
  readonly architecture: string;
  readonly heads: number | null;
  readonly keyHeads: number | null;
  /** The output layer is the embedding: a tensor of it is not stored. */
  readonly tied: boolean;
  readonly metadata: readonly GgufMetadataEntry[];
  /** What the file does not say although a program may want to know. */
  readonly notes: readonly string[];
}

/** @returns null for a configuration of no model that llama.cpp has and whose names are known here */
export function ggufModel(config: Config): GgufModel | null {
  const architecture = MODEL_TYPES.get(typeof config.model_type === 'string' ? config.model_type : '');
  if (architecture === undefined) return null;
  const number = (...keys: readonly string[]): number | null => {
    for (const key of keys) {
      const value = Object.hasOwn(config, key) ? config[key] : undefined;
      if (typeof value === 'number' && Number.isFinite(value)) return value;
    }
    return null;
  };
  const whole = (...keys: readonly string[]): number | null => {
    const value = number(...keys);
    return value !== null && Number.isInteger(value) && value > 0 && value < 2 ** 32 ? value : null;
  };
  const width = whole('hidden_size', 'n_embd');
  const heads = whole('num_attention_heads', 'n_head');
  const keyHeads = whole('num_key_value_heads') ?? heads;
  const gpt2 = architecture === 'gpt2';
  const headSize = whole('head_dim') ?? (width !== null && heads !== null && width % heads === 0 ? width / heads : null);
  const own = whole('head_dim');
  const metadata: GgufMetadataEntry[] = [{ key: 'general.architecture', type: 'string', value: architecture }];
  const put = (key: string, type: 'uint32' | 'float32', value: number | null): void => { if (value !== null) metadata.push({ key: `${architecture}.${key}`, type, value }); };
  if (typeof config._name_or_path === 'string' && config._name_or_path !== '') metadata.push({ key: 'general.name', type: 'string', value: config._name_or_path.split(/[\\/]/).pop()!.replace(/\p{Surrogate}/gu, '') });
  put('block_count', 'uint32', whole('num_hidden_layers', 'n_layer'));
  put('context_length', 'uint32', whole('max_position_embeddings', 'n_ctx', 'n_positions'));
  put('embedding_length', 'uint32', width);
  put('feed_forward_length', 'uint32', whole('intermediate_size', 'n_inner') ?? (gpt2 && width !== null ? 4 * width : null));
  put('attention.head_count', 'uint32', heads);
  if (!gpt2 && architecture !== 'bert') put('attention.head_count_kv', 'uint32', keyHeads);
  put('vocab_size', 'uint32', whole('vocab_size'));
  put('attention.layer_norm_rms_epsilon', 'float32', number('rms_norm_eps'));
  put('attention.layer_norm_epsilon', 'float32', number('layer_norm_eps', 'layer_norm_epsilon'));
  put('attention.key_length', 'uint32', own);
  put('attention.value_length', 'uint32', own);
  put('attention.sliding_window', 'uint32', config.use_sliding_window === false ? null : whole('sliding_window'));
  if (!gpt2 && architecture !== 'bert') {
    put('rope.dimension_count', 'uint32', headSize);
    put('rope.freq_base', 'float32', number('rope_theta'));
  }
  if (architecture === 'bert') metadata.push({ key: 'bert.attention.causal', type: 'bool', value: false });
  put('attn_logit_softcapping', 'float32', architecture === 'gemma2' ? number('attn_logit_softcapping') : null);
  put('final_logit_softcapping', 'float32', architecture === 'gemma2' ? number('final_logit_softcapping') : null);
  const notes = ['no tokenizer is in the file: llama.cpp needs one to run it (its convert_hf_to_gguf.py writes it with --vocab-only)'];
  const scaling = config.rope_scaling;
  if (scaling !== undefined && scaling !== null) {
    const { type, rope_type: ropeType, factor } = scaling as Config;
    if ((ropeType ?? type) === 'linear' && typeof factor === 'number') {
      metadata.push({ key: `${architecture}.rope.scaling.type`, type: 'string', value: 'linear' });
      put('rope.scaling.factor', 'float32', factor);
    } else notes.push('rope_scaling of config.json is not carried over: positions beyond the original context will differ');
  }
  return { architecture, heads, keyHeads, tied: config.tie_word_embeddings === true || (gpt2 && config.tie_word_embeddings !== false), metadata, notes };
}
