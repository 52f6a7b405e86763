/**
 * Checkpoint: an opened weights file or shard set. Everything here is plain data (it crosses process borders);
 * the bytes stay on disk and are read by position.
 */

/** Element types, named as safetensors names them. `bits` per element are in {@link DTYPE_BITS}. */
export type DType =
  | 'F64' | 'F32' | 'F16' | 'BF16'
  | 'F8_E4M3' | 'F8_E5M2' | 'F8_E4M3FNUZ' | 'F8_E5M2FNUZ' | 'F8_E8M0' | 'F6_E2M3' | 'F6_E3M2' | 'F4'
  | 'I64' | 'I32' | 'I16' | 'I8' | 'U64' | 'U32' | 'U16' | 'U8' | 'BOOL'
  | 'C64' | 'C128'
  | 'QI8' | 'QU8' | 'QI32' | 'QU4X2' | 'QU2X4';

export const DTYPE_BITS: Readonly<Record<DType, number>> = {
  F64: 64, F32: 32, F16: 16, BF16: 16,
  F8_E4M3: 8, F8_E5M2: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, F8_E8M0: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4,
  I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8,
  C64: 64, C128: 128,
  QI8: 8, QU8: 8, QI32: 32, QU4X2: 8, QU2X4: 8,
};

/** Dtypes whose values are real numbers that a weight format can replace. */
export const FLOAT_DTYPES: ReadonlySet<DType> = new Set<DType>(['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']);

/** Where the bytes of a tensor are. Offsets are absolute in the file. */
export interface TensorLocation {
  /** Index into {@link Checkpoint.files}. */
  readonly file: number;
  /** Byte offset of the first element: in the file, or in what {@link packed} unpacks to. */
  readonly offset: number;
  readonly byteOrder: 'little' | 'big';
  /** The values stand inside a compressed part of the file; absent when they stand in the file itself. */
  readonly packed?: PackedRange;
  /** Strides in elements; absent when the tensor is contiguous in row-major order. */
  readonly strides?: readonly number[];
  /** Identity of the storage, for tensors that share one (tied weights, views). */
  readonly storage?: string;
}

/** A part of a file whose bytes become the tensor's only when they are unpacked in order. */
export type PackedRange = DeflatedRange | ProtobufRange | ChunkedRange;

interface Packed {
  /** Byte offset of the packed part in the file. */
  readonly start: number;
  /** Bytes of it. */
  readonly length: number;
  /** Bytes it unpacks to, exactly. */
  readonly size: number;
}

/** A deflate stream (RFC 1951): a compressed member of a zip archive. */
export interface DeflatedRange extends Packed {
  readonly method: 'deflate';
}

/** A protobuf message, in which one repeated field holds numbers: each gives its low `width` bytes. */
export interface ProtobufRange extends Packed {
  readonly method: 'protobuf';
  readonly field: number;
  readonly width: number;
}

/** Rectangular chunks of the tensor, each filtered (compressed) by itself: HDF5. `start` and `length` say nothing. */
export interface ChunkedRange extends Packed {
  readonly method: 'chunks';
  readonly shape: readonly number[];
  /** Shape of a chunk; those at the edges reach over it. */
  readonly chunk: readonly number[];
  /** Bytes of an element. */
  readonly width: number;
  /** In the order in which they were applied. */
  readonly filters: readonly ('deflate' | 'shuffle' | 'fletcher32')[];
  /** Three numbers for each chunk, in row-major order: byte offset, stored bytes (0: never written), bits of filters that were left out. */
  readonly table: readonly number[];
}

/**
 * How values are stored that do not lie element after element of a dtype: block-quantized types of a file format, codes with
 * scales beside them, compressed entries. Plain data; kernels/stored turns it into values.
 */
export interface TensorEncoding {
  /** Id of the stored layout that decodes it (kernels/stored/registry.ts): `ggml`, `gptq`, ... */
  readonly layout: string;
  /** What stands where a dtype is shown: `Q4_K`, `int4 g128 (GPTQ)`. */
  readonly name: string;
  /** The number format of the values, as `bitlens formats` calls it; absent when none of ours is the same. */
  readonly format?: string;
  /** Tensors of the same checkpoint that hold the parts (codes, scales, zero points...), by role. */
  readonly parts?: Readonly<Record<string, TensorInfo>>;
  /** What else decoding needs: bits, group size, axis. */
  readonly options?: Readonly<Record<string, JsonValue>>;
}

export interface TensorInfo {
  /** Name exactly as stored; of a derived tensor, the name its weight has in a model. */
  readonly name: string;
  /** Type of the elements; with an {@link encoding}, the type that their decoded values have in a model. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes of the contents, shared storages not deducted: elements x bits / 8; with an {@link encoding}, the bytes stored, all parts together. */
  readonly bytes: number;
  readonly encoding?: TensorEncoding;
  /** Which dimension counts the output channels, where the file tells how the tensor is used and it is not the first. */
  readonly outputAxis?: number;
  /** Null when the file declares the tensor but holds no readable bytes for it (meta tensors, sparse parts). */
  readonly data: TensorLocation | null;
  /** Path of the dict, list or module in the pickle whose keys the rest of the name is (`state_dict`); absent at the top. */
  readonly container?: string;
  /** How the integers of a quantized tensor (QI8, QU8, QI32) stand for real numbers: (code - zero point) x scale. */
  readonly quantizer?: TensorQuantizer;
}

/** A weight that a file holds as several tensors. Its encoding says how they become values. */
export interface DerivedTensor extends TensorInfo {
  readonly encoding: TensorEncoding;
  /** Names of the tensors it stands for: a model sees the weight in their place. */
  readonly replaces: readonly string[];
}

export type TensorQuantizer =
  | { readonly scheme: 'per_tensor'; readonly scale: number; readonly zeroPoint: number }
  /** One scale and zero point for each index along `axis`. The two tensors are not listed by themselves. */
  | { readonly scheme: 'per_channel'; readonly axis: number; readonly scales: TensorInfo; readonly zeroPoints: TensorInfo };

/**
 * What is wrong with a checkpoint. `malformed` refuses it (a {@link CheckpointError} carries one of these),
 * `questionable` shows it with a finding, `information` is worth knowing. Codes are rule codes (docs/findings.md).
 */
export interface CheckpointProblem {
  readonly code: 'BL405' | 'BL406' | 'BL407';
  readonly grade: 'malformed' | 'questionable' | 'information';
  readonly message: string;
  /** Byte offset in the file, where one can be named. */
  readonly offset?: number;
  /** One sentence: what to do. */
  readonly fix: string;
  readonly tensor?: string;
}

/** What identifies a file's contents without reading it: checked at the start and end of every pass. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface CheckpointFile {
  /** Absolute path. */
  readonly path: string;
  readonly identity: FileIdentity;
}

/** One name that a pickle would import when it is loaded by Python. We never load it; we list it. */
export interface PickleImport {
  readonly module: string;
  readonly name: string;
  /** Byte offset of the opcode within its pickle stream. */
  readonly offset: number;
  /** `tensor`: on the allow-list of tensor types; `other`: not on it; `code`: known to run code. */
  readonly kind: 'tensor' | 'other' | 'code';
}

export interface Checkpoint {
  /** `safetensors`, `pytorch-zip`, `pytorch-legacy`, `pickle`, ... */
  readonly format: string;
  /** The path the user opened: a file, or an index of shards. */
  readonly path: string;
  readonly files: readonly CheckpointFile[];
  /** In file order; names are unique. */
  readonly tensors: readonly TensorInfo[];
  /** Weights that several tensors stand for together (quantized codes, scales...). Absent when there are none. */
  readonly derived?: readonly DerivedTensor[];
  readonly problems: readonly CheckpointProblem[];
  readonly imports: readonly PickleImport[];
  /** Text metadata the file carries, as pairs in file order (names are untrusted). */
  readonly metadata: readonly (readonly [string, string])[];
  /**
   * Plain values beside the tensors of a pickle's top-level dict (`epoch`, `config`, `model_args`...), as JSON, bounded in size.
   * Names are untrusted: the object has no prototype. Absent when there are none.
   */
  readonly extra?: Readonly<Record<string, JsonValue>>;
}

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A refused checkpoint: one message that says what is wrong, where, and what to do. */
export class CheckpointError extends Error {
  constructor(readonly problem: CheckpointProblem, readonly path: string) {
    super(`${problem.message}${problem.offset === undefined ? '' : ` (byte ${problem.offset})`}. ${problem.fix}`);
    this.name = 'CheckpointError';
  }
}

/**
 * The tensors as a model sees them: those of the file in their order, each derived weight where the first tensor that it
 * replaces stands, the replaced ones left out.
 */
export function modelTensors(checkpoint: Checkpoint): readonly TensorInfo[] {
  if (!checkpoint.derived || checkpoint.derived.length === 0) return checkpoint.tensors;
  const standsFor = new Map<string, DerivedTensor>();
  for (const weight of checkpoint.derived) for (const name of weight.replaces) standsFor.set(name, weight);
  const placed = new Set<DerivedTensor>();
  return checkpoint.tensors.flatMap((tensor): TensorInfo[] => {
    const weight = standsFor.get(tensor.name);
    if (!weight) return [tensor];
    if (placed.has(weight)) return [];
    placed.add(weight);
    return [weight];
  });
}

/** What is shown as a tensor's element type: the dtype, or the name of its encoding. */
export function shownDtype(tensor: TensorInfo): string {
  return tensor.encoding?.name ?? tensor.dtype;
}

/** Identity of the values that a location names: the same bytes of the same part of the same file, in the same order. */
export function locationKey({ file, offset, packed, strides, storage }: TensorLocation): string {
  // Offsets within packed parts are those of the part: many parts begin alike.
  const part = !packed ? '' : packed.method === 'chunks' ? `chunks ${packed.table.find((number) => number > 0) ?? 0}` : `packed ${packed.start}`;
  return `${file}|${part}|${offset}|${strides?.join(',') ?? ''}|${storage ?? ''}`;
}

/** Number of elements of a shape; 1 for a scalar. Shapes here have been checked by the reader to stay below 2^53. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
