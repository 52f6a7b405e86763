import type { CheckpointReader } from './reader';
import { safetensorsReader } from './safetensors';

/** Every reader, in the order in which they are asked. A new format is one file and one line here. */
export const READERS: readonly CheckpointReader[] = [safetensorsReader];
