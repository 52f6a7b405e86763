/**
 * How a model was quantized, as its files say: `quantization_config` in the safetensors metadata or in config.json, or the
 * files of single tools (quantize_config.json of GPTQ, quant_config.json of AWQ, hf_quant_config.json of ModelOpt).
 */
import { CheckpointError, type JsonValue } from '../checkpoint';
import { FileSource } from '../byte-source';
import { join } from 'node:path';
import { shardPath } from '../shard-path';

/** Bytes of a settings file; those of large models with per-layer settings take a few megabytes. */
const MOST_BYTES = 16 * 2 ** 20;

export type JsonObject = { readonly [key: string]: JsonValue };

/** Settings files in the order they are asked, with the method that a file stands for when it does not say. */
const FILES: readonly { readonly name: string; readonly pick: (whole: JsonObject) => JsonObject | null }[] = [
  { name: 'config.json', pick: configOf },
  { name: 'quantize_config.json', pick: (whole) => ({ quant_method: 'gptq', ...whole }) },
  { name: 'quant_config.json', pick: (whole) => ({ quant_method: 'awq', ...whole }) },
  { name: 'hf_quant_config.json', pick: (whole) => { const inner = objectAt(whole, 'quantization'); return inner && { quant_method: 'modelopt', ...inner }; } },
];

/**
 * @param metadata text metadata of the checkpoint
 * @param folder where the checkpoint lies; links are followed as those of shards are (only within it, or into the hub's cache)
 * @returns null when nothing says how the model was quantized, or nothing that says so can be read
 */
export function quantizationConfig(metadata: readonly (readonly [string, string])[], folder: string): JsonObject | null {
  for (const [key, text] of metadata) {
    if (key !== 'quantization_config' || text.length > MOST_BYTES) continue;
    const parsed = parsedObject(text);
    if (parsed) return parsed;
  }
  for (const { name, pick } of FILES) {
    const whole = objectInFile(folder, name);
    const config = whole && pick(whole);
    if (config) return config;
  }
  return null;
}

/** The settings in a config.json: at the top, in the part of a language model, or under the name they had first. */
function configOf(whole: JsonObject): JsonObject | null {
  for (const place of [whole, objectAt(whole, 'text_config'), objectAt(whole, 'llm_config'), objectAt(whole, 'thinker_config')]) {
    const found = place && (objectAt(place, 'quantization_config') ?? objectAt(place, 'compression_config'));
    if (found) return found;
  }
  return null;
}

/** The JSON object in a small file of the folder; null where there is none that can be read. */
export function objectInFile(folder: string, name: string): JsonObject | null {
  try {
    const path = shardPath(join(folder, name), name);
    if (path === null) return null;
    const source = new FileSource(path, MOST_BYTES);
    try {
      return source.size > MOST_BYTES ? null : parsedObject(source.read(0, source.size).toString('utf8'));
    } finally {
      source.close();
    }
  } catch (error) {
    // A settings file that may not be read leaves the weights without settings; it does not refuse them.
    if (error instanceof CheckpointError || typeof (error as NodeJS.ErrnoException).code === 'string') return null;
    throw error;
  }
}

function parsedObject(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw error;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is an object; own members only, since names in files are anybody's. */
export function objectAt(value: JsonValue | undefined, key: string): JsonObject | null {
  const member = memberOf(value, key);
  return isObject(member) ? member : null;
}

export function textAt(value: JsonValue | undefined, key: string): string | null {
  const member = memberOf(value, key);
  return typeof member === 'string' ? member : null;
}

export function numberAt(value: JsonValue | undefined, key: string): number | null {
  const member = memberOf(value, key);
  return typeof member === 'number' && Number.isFinite(member) ? member : null;
}

export function flagAt(value: JsonValue | undefined, key: string): boolean | null {
  const member = memberOf(value, key);
  return typeof member === 'boolean' ? member : null;
}

export function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** `gptq`, `awq`, `compressed-tensors`...; lower case; null when the settings do not say. */
export function quantMethod(config: JsonValue | null): string | null {
  return textAt(config ?? undefined, 'quant_method')?.toLowerCase() ?? null;
}
