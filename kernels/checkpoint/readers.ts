import { ggufReader } from './gguf';
import { hdf5Reader } from './hdf5/hdf5';
import { npyReader } from './npy';
import { onnxReader } from './onnx/onnx';
import { pickleReader } from './pickle';
import { pytorchLegacyReader } from './pytorch-legacy';
import { pytorchZipReader } from './pytorch-zip';
import type { CheckpointReader } from './reader';
import { safetensorsReader } from './safetensors';
import { shardIndexReader } from './sharded';
import { tfliteReader } from './tflite/tflite';

/** Every reader, in the order in which they are asked: marks that cannot be mistaken first. A new format is one file and one line here. */
export const READERS: readonly CheckpointReader[] = [ggufReader, npyReader, hdf5Reader, tfliteReader, safetensorsReader, pytorchLegacyReader, pytorchZipReader, shardIndexReader, onnxReader, pickleReader];
