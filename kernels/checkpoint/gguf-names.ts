/**
 * Names of the Hugging Face modules that a GGUF file's tensors were converted from. llama.cpp renames tensors and changes some
 * (convert_hf_to_gguf.py, gguf-py/gguf/tensor_mapping.py of github.com/ggml-org/llama.cpp); what it changed is undone when values are
 * read, so that they are the model's own.
 */
import { FLOAT_DTYPES, shownDtype, type Checkpoint, type DerivedTensor, type TensorInfo } from './checkpoint';
import { ggmlTypeNamed } from './ggml-types';
import { GGUF_ARCHITECTURES, ggufChanges, modelName, type GgufChanges } from './gguf-architectures';

/** The checkpoint with the weights under the names that they have in a Hugging Face model, where its architecture is a known one. */
export function withModelNames(checkpoint: Checkpoint): Checkpoint {
  const metadata = new Map(checkpoint.metadata);
  const name = metadata.get('general.architecture') ?? '';
  const architecture = GGUF_ARCHITECTURES.get(name);
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
    const changed = FLOAT_DTYPES.has(tensor.dtype) && tensor.data !== null ? ggufChanges(tensor.name, tensor.shape, architecture, heads, keyHeads) : null;
    if (changed === null) continue;
    taken.add(named);
    derived.push(derive(tensor, named, changed));
  }
  return derived.length === 0 ? checkpoint : { ...checkpoint, derived };
}

function derive(tensor: TensorInfo, name: string, changes: GgufChanges): DerivedTensor {
  const format = tensor.encoding?.format;
  return {
    name, dtype: tensor.dtype, shape: changes.transposed ? [...tensor.shape].reverse() : tensor.shape, bytes: tensor.bytes, data: tensor.data, replaces: [tensor.name],
    encoding: { layout: 'ggml', name: shownDtype(tensor), ...(format ? { format } : {}), options: { type: ggmlTypeNamed(shownDtype(tensor))!.id, ...changes } },
  };
}
