/**
 * The door of the checkpoint room.
 *
 * Names of tensors: the keys that lead to a tensor, joined with dots (`state_dict.module.conv1.weight`), list and tuple
 * places in brackets (`[1].a[0]`), nothing for a tensor that is the whole file. Containers that hold a state dict stay
 * visible: taking prefixes off is linking's work. A pickled nn.Module gives the names its own state_dict() would give.
 */
export * from './checkpoint';
export { openCheckpoint, type OpenOptions } from './open';
export { TensorReader } from './tensor-reader';
export { canStore, writeSafetensors, type SafetensorsEntry, type WriteOptions } from './write-safetensors';
export { removeUnfinished, unfinishedName } from './unfinished';
export { DEFAULT_LIMITS, type Limits } from './limits';
export { writeGguf, ggufBytes, type GgufEntry, type GgufMetadataEntry } from './write-gguf';
export { readGgufMetadata, type StoredGgufValue } from './gguf-stored-value';
