/** Convert to GGUF: names, values and metadata as llama.cpp has them where the model is a known one; any block type for the weights. */
import { createHash, type Hash } from 'node:crypto';
import path from 'node:path';
import { elementCount, FLOAT_DTYPES, ggufBytes, modelTensors, openCheckpoint, readGgufMetadata, removeUnfinished, shownDtype, TensorReader, writeGguf, type Checkpoint, type GgufEntry, type GgufMetadataEntry, type TensorInfo } from '../checkpoint';
import { GGUF_ARCHITECTURES, ggufChanges, ggufName, type GgufChanges } from '../checkpoint/gguf-architectures';
import { ggufModel, type GgufModel } from '../checkpoint/gguf-model-metadata';
import { ggmlTypeNamed, type GgmlType } from '../checkpoint/ggml-types';
import { objectInFile } from '../checkpoint/layouts/quantization-config';
import { encodeGgufRows, decodeGgufRows } from '../formats/gguf';
import { decodeFloats, encodeFloats } from '../numerics/codecs';
import { permutedRows } from '../stored/ggml-views';
import { storedValues } from '../stored/registry';
import type { ValueReader } from '../stored/stored-layout';
import { whyKeptInGguf } from './convert-weights';
import { asJobError, refuseTarget } from './export';
import { JobError, type ConvertParams, type ConvertResult, type JobContext } from './job';
import { numberReader } from './numbers';
import { assertUnchanged } from './scan';
import { filesOf, openForJob } from './weights';

/** Values encoded at once, about. */
const BAND = 2 ** 18;
/** What llama.cpp falls back to where a row is no whole number of blocks (tensor_type_fallback in src/llama-quant.cpp). */
const FALLBACKS: Readonly<Record<string, string>> = {
  Q2_K: 'IQ4_NL', Q3_K: 'IQ4_NL', IQ1_S: 'IQ4_NL', IQ1_M: 'IQ4_NL', IQ2_XXS: 'IQ4_NL', IQ2_XS: 'IQ4_NL', IQ2_S: 'IQ4_NL', IQ3_XXS: 'IQ4_NL', IQ3_S: 'IQ4_NL', IQ4_XS: 'IQ4_NL',
  Q4_K: 'Q5_0', Q5_K: 'Q5_1', Q6_K: 'Q8_0', TQ1_0: 'Q4_0', TQ2_0: 'Q4_0', NVFP4: 'Q4_0', Q1_0: 'Q4_0', Q2_0: 'Q4_0',
};
/** `general.file_type`: llama.cpp's number for a file whose weights are mostly of a type. */
const FILE_TYPES: Readonly<Record<string, number>> = {
  F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, Q2_K: 10, Q3_K: 12, Q4_K: 15, Q5_K: 17, Q6_K: 18, IQ2_XXS: 19, IQ2_XS: 20, IQ3_XXS: 23, IQ1_S: 24, IQ4_NL: 25, IQ3_S: 26,
  IQ2_S: 28, IQ4_XS: 30, IQ1_M: 31, BF16: 32, TQ1_0: 36, TQ2_0: 37, MXFP4: 38,
};
/** Integers that GGUF does not have, in ones that hold them. */
const WIDER: Readonly<Record<string, string>> = { U8: 'I16', BOOL: 'I8', U16: 'I32', U32: 'I64' };

interface Plan {
  readonly tensor: TensorInfo;
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
  readonly changes: GgufChanges;
  /** The bytes are those of the file that is read. */
  readonly copied: boolean;
  readonly quantized: boolean;
}

/** The type of a format's id or of a plain name; only what a GGUF file has. @throws JobError */
export function ggufTypeOf(format: string): GgmlType {
  const name = format.replace(/^gguf-/i, '').replace(/^fp(16|32)$/i, 'f$1');
  const type = ggmlTypeNamed(name);
  if (type && !/^[IQ]\d+$|^I\d+$|^F64$|^Q8_[1K]$/.test(type.name)) return type;
  throw new JobError(`GGUF holds no "${format.slice(0, 80)}"; --format takes a type of it: f32, f16, bf16, ${Object.keys(FILE_TYPES).filter((each) => !/^B?F\d/.test(each)).map((each) => each.toLowerCase()).join(', ')}, nvfp4, q1_0, q2_0`);
}

export async function convertToGguf(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
  const started = performance.now();
  const asked = params.format === undefined ? null : ggufTypeOf(params.format);
  const checkpoint = await openForJob(params.checkpoint);
  const target = path.resolve(params.path);
  refuseTarget(checkpoint, target);
  const fromGguf = checkpoint.format === 'gguf';
  const config = fromGguf ? null : objectInFile(path.dirname(checkpoint.path), 'config.json');
  const model = config && ggufModel(config);
  const notes = [...(model?.notes ?? [])];
  if (!fromGguf && !model) notes.push(`${config ? `the model type ${JSON.stringify(config.model_type ?? null)} of config.json is none whose tensors have known names in llama.cpp` : 'no config.json says what model this is'}: tensors keep their names, and the file names no architecture`);
  const { plans, kept, fallbacks, left } = planOf(checkpoint, model, asked, notes);
  if (plans.length === 0) throw new JobError(`${params.checkpoint} holds no tensor that a GGUF file can hold${left.length > 0 ? `: ${left[0]!.key}: ${left[0]!.reason}` : ''}`);
  const again = plans.filter(({ quantized, tensor }) => quantized && tensor.encoding);
  if (again.length > 0) notes.push(`${again.length} weights were quantized already (${shownDtype(again[0]!.tensor)}): the errors of both add up`);
  const metadata = fileMetadata(fromGguf ? await readGgufMetadata(checkpoint) : model?.metadata ?? [], asked, plans);
  const reader = TensorReader.open(filesOf(checkpoint));
  const total = 2 * plans.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  let done = 0;
  let label = `Writing ${path.basename(target)}`;
  const pause = async (elements: number): Promise<void> => {
    done += elements;
    context.progress(Math.min(done, total), total, label);
    await new Promise<void>((resolve) => { setImmediate(resolve); });
    context.throwIfCancelled();
  };
  try {
    const proofs = new Map<string, Proof>();
    const entries = plans.map((plan) => entryOf(plan, reader, context, proofs, pause));
    context.writesInto(path.dirname(target));
    await removeUnfinished(path.dirname(target));
    const written = await asJobError(target, () => writeGguf(target, entries, metadata, {
      prove: async (temporary) => {
        label = `Reading back ${path.basename(target)}`;
        await readBack(temporary, target, plans, proofs, pause);
      },
    }));
    await assertUnchanged(checkpoint);
    return {
      path: target, bytes: written.bytes, sha256: written.sha256, verifiedTensors: plans.length, decoded: plans.filter(({ tensor, copied }) => tensor.encoding && !copied).length,
      left: left.map(({ key }) => key), kept, fallbacks, notes,
      quantized: plans.filter(({ quantized }) => quantized).map(({ name, type, shape }) => ({ tensor: name, type: type.name, bits: (8 * type.bytes) / type.block, sqnrDb: proofs.get(name)!.sqnrDb(), weights: elementCount(shape) })),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    reader.close();
  }
}

/** Every tensor under its name, in its type. */
function planOf(checkpoint: Checkpoint, model: GgufModel | null, asked: GgmlType | null, notes: string[]): { plans: Plan[]; kept: { key: string; reason: string }[]; fallbacks: { tensor: string; type: string; reason: string }[]; left: { key: string; reason: string }[] } {
  const fromGguf = checkpoint.format === 'gguf';
  const architecture = model && GGUF_ARCHITECTURES.get(model.architecture)!;
  const [kept, fallbacks, left, strange]: [{ key: string; reason: string }[], { tensor: string; type: string; reason: string }[], { key: string; reason: string }[], string[]] = [[], [], [], []];
  const plans = (fromGguf ? checkpoint.tensors : modelTensors(checkpoint)).flatMap((tensor): Plan[] => {
    const leave = (reason: string): Plan[] => { left.push({ key: tensor.name, reason }); return []; };
    if (tensor.data === null && !tensor.encoding) return leave('the checkpoint holds no values for it');
    if (tensor.quantizer) return leave('it is quantized in PyTorch\'s own way');
    const known = architecture ? ggufName(tensor.name, architecture.names) : null;
    if (architecture && known === null) {
      // The converter of llama.cpp leaves the same buffers out.
      if (/(?:rotary_emb\.inv_freq|attn\.(?:masked_)?bias|position_ids)$/.test(tensor.name)) return leave('llama.cpp computes it');
      strange.push(tensor.name);
    }
    if (model?.tied && known === 'output.weight') return leave('it is the embedding, which is stored once');
    const name = known ?? tensor.name;
    const changes = known === null || !architecture ? {} : ggufChanges(known, tensor.shape, architecture, model!.heads, model!.keyHeads);
    if (changes === null) throw new JobError(`${tensor.name}: config.json does not say how many heads there are, which the order of its rows in a GGUF file depends on`);
    const shape = changes.transposed ? [...tensor.shape].reverse() : tensor.shape;
    if (shape.length > 4) return leave(`it has ${shape.length} dimensions; GGUF has at most 4`);
    if (Buffer.byteLength(name) > 63) return leave(`its name has ${Buffer.byteLength(name)} bytes; ggml takes at most 63`);
    const stored = storedType(tensor, known !== null);
    if (stored === null) return leave(`GGUF has no type for ${tensor.dtype}`);
    const plan = { tensor, name, shape, changes };
    const asIs: Plan = { ...plan, type: stored, copied: fromGguf && Boolean(tensor.encoding) && tensor.data!.byteOrder === 'little', quantized: false };
    if (asked === null) return [asIs];
    const reason = whyKeptInGguf(tensor, name, fromGguf || known !== null);
    if (reason !== null) { if (FLOAT_DTYPES.has(tensor.dtype)) kept.push({ key: name, reason }); return [asIs]; }
    if (stored.name === asked.name) return [asIs];
    const { type, why } = fitting(asked, shape, stored);
    if (why !== null) fallbacks.push({ tensor: name, type: type.name, reason: why });
    return [type === stored ? asIs : { ...plan, type, copied: false, quantized: type.block > 1 }];
  });
  if (strange.length > 0) notes.push(`${strange.length === 1 ? 'one tensor has' : `${strange.length} tensors have`} no name in llama.cpp's ${model!.architecture} and keep theirs: ${strange.slice(0, 5).join(', ')}${strange.length > 5 ? ', …' : ''}`);
  return { plans, kept, fallbacks, left };
}

/** The type that holds the values as they are. Vectors of known models are F32: llama.cpp computes with nothing else. */
function storedType(tensor: TensorInfo, known: boolean): GgmlType | null {
  const encoded = tensor.encoding?.layout === 'ggml' && tensor.encoding.options && Object.keys(tensor.encoding.options).length === 1 ? ggmlTypeNamed(shownDtype(tensor)) : undefined;
  if (encoded) return encoded;
  if (FLOAT_DTYPES.has(tensor.dtype) || tensor.dtype === 'F4') {
    if (known && (tensor.shape.length < 2 || tensor.dtype === 'F64')) return ggmlTypeNamed('F32')!;
    // FP8 and FP4 values are F16 values.
    return ggmlTypeNamed(tensor.dtype.startsWith('F8') || tensor.dtype === 'F4' ? 'F16' : tensor.dtype)!;
  }
  return ggmlTypeNamed(WIDER[tensor.dtype] ?? tensor.dtype) ?? null;
}

/** The type asked for, or what stands in for it where its blocks do not divide the rows. */
function fitting(asked: GgmlType, shape: readonly number[], stored: GgmlType): { type: GgmlType; why: string | null } {
  let type = asked;
  for (let step = 0; step < 3; step += 1) {
    if (typeof ggufBytes(type, shape) === 'number') return { type, why: type === asked ? null : `rows of ${shape.at(-1)} values are no whole blocks of ${asked.name}` };
    const next = ggmlTypeNamed(FALLBACKS[type.name] ?? '');
    if (!next) break;
    type = next;
  }
  return { type: stored, why: `rows of ${shape.at(-1)} values are no whole blocks of ${asked.name}, nor of what llama.cpp puts in its place` };
}

function fileMetadata(pairs: readonly GgufMetadataEntry[], asked: GgmlType | null, plans: readonly Plan[]): GgufMetadataEntry[] {
  const number = FILE_TYPES[asked?.name ?? mostly(plans)];
  const set: GgufMetadataEntry[] = [
    ...(number === undefined ? [] : [{ key: 'general.file_type', type: 'uint32' as const, value: number }]),
    ...(plans.some(({ type }) => type.block > 1) ? [{ key: 'general.quantization_version', type: 'uint32' as const, value: 2 }] : []),
  ];
  // Without a format, a GGUF file keeps what it says of itself.
  const replaced = new Map(set.filter(({ key }) => asked !== null || !pairs.some((pair) => pair.key === key)).map((entry) => [entry.key, entry]));
  return [...pairs.map((pair) => replaced.get(pair.key) ?? pair), ...[...replaced.values()].filter(({ key }) => !pairs.some((pair) => pair.key === key))];
}

/** The type that most values have. */
function mostly(plans: readonly Plan[]): string {
  const counts = new Map<string, number>();
  for (const { type, shape } of plans) counts.set(type.name, (counts.get(type.name) ?? 0) + elementCount(shape));
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

/** What was written of one tensor: a hash of its bytes, one of the values they stand for, and the error against the values read. */
class Proof {
  readonly bytes: Hash = createHash('sha256');
  readonly values: Hash = createHash('sha256');
  private signal = 0;
  private noise = 0;

  compare(original: Float32Array, stored: Float32Array): void {
    for (let i = 0; i < original.length; i += 1) {
      const [x, y] = [original[i]!, stored[i]!];
      this.signal += x * x;
      this.noise += (x - y) * (x - y);
    }
  }

  sqnrDb(): number | null {
    return this.noise > 0 && this.signal > 0 ? 10 * Math.log10(this.signal / this.noise) : null;
  }
}

const viewOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function entryOf(plan: Plan, reader: TensorReader, context: JobContext, proofs: Map<string, Proof>, pause: (elements: number) => Promise<void>): GgufEntry {
  const { tensor, name, shape, type, quantized, changes } = plan;
  const total = elementCount(shape);
  const cols = shape.at(-1) ?? 1;
  const write = async (sink: (chunk: Uint8Array) => void): Promise<void> => {
    const proof = new Proof();
    proofs.set(name, proof);
    const put = (bytes: Uint8Array): void => { proof.bytes.update(bytes); sink(bytes); };
    if (plan.copied) {
      for (let at = 0; at < tensor.bytes; at += 2 ** 20) {
        const bytes = new Uint8Array(Math.min(2 ** 20, tensor.bytes - at));
        reader.readStored(tensor, at, bytes);
        put(bytes);
        await pause((total * bytes.length) / tensor.bytes);
      }
      return;
    }
    const exact = type.dtype && (!FLOAT_DTYPES.has(type.dtype) || (type.dtype === tensor.dtype && !tensor.encoding && Object.keys(changes).length === 0)) ? exactBytes(tensor, type, reader) : null;
    const values = exact ? null : valuesFor(plan, reader, context);
    // Blocks do not reach over rows.
    const step = Math.max(1, Math.floor(BAND / cols)) * cols;
    for (let first = 0; first < total; first += step) {
      const count = Math.min(step, total - first);
      if (exact) {
        put(exact(first, count));
      } else {
        const band = new Float32Array(count);
        values!.read(first, count, band);
        put(quantized ? quantizedBytes(plan, band, proof) : plainBytes(type, band, name, tensor));
      }
      await pause(count);
    }
  };
  return { name, type: type.name, shape, write };
}

function quantizedBytes({ name, type, shape }: Plan, band: Float32Array, proof: Proof): Uint8Array {
  const bad = band.reduce((count, x) => count + (Number.isFinite(x) ? 0 : 1), 0);
  if (bad > 0) throw new JobError(`${name} holds NaN or infinite values, which ${type.name} cannot store; repair the checkpoint`);
  const cols = shape.at(-1) ?? 1;
  const view = { rows: band.length / cols, cols };
  const bytes = encodeGgufRows(type, band, view);
  const stored = decodeGgufRows(type, bytes, view);
  proof.values.update(viewOf(stored));
  proof.compare(band, stored);
  return bytes;
}

function plainBytes(type: GgmlType, band: Float32Array, name: string, { dtype }: TensorInfo): Uint8Array {
  // Wider floats must not become infinite in silence.
  if (type.name === 'F16' && dtype !== 'F16') {
    const beyond = band.find((x) => Math.abs(x) >= 65_520 && Number.isFinite(x));
    if (beyond !== undefined) throw new JobError(`${name} holds ${beyond}, which F16 cannot store; convert with --format bf16 or f32`);
  }
  const bytes = new Uint8Array(band.length * type.bytes);
  encodeFloats(type.dtype!, band, band.length, bytes);
  return bytes;
}

/** Elements as they are, or whole numbers in a wider type. */
function exactBytes(tensor: TensorInfo, type: GgmlType, reader: TensorReader): (first: number, count: number) => Uint8Array {
  if (tensor.dtype === type.dtype) {
    return (first, count) => {
      const bytes = new Uint8Array(count * type.bytes);
      reader.readInto(tensor, first, count, bytes);
      return bytes;
    };
  }
  const read = numberReader(tensor, reader);
  return (first, count) => {
    const values = new Float64Array(count);
    read(first, count, values);
    const array = type.name === 'I8' ? Int8Array.from(values) : type.name === 'I16' ? Int16Array.from(values) : type.name === 'I32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
    return new Uint8Array(array.buffer);
  };
}

/** The values of a tensor in the order, and with the changes, of llama.cpp. */
function valuesFor({ tensor, changes, shape }: Plan, reader: TensorReader, context: JobContext): ValueReader {
  const values = floatsOf(tensor, reader);
  const cols = elementCount(tensor.shape.slice(1));
  if (changes.heads !== undefined) return permutedRows(values, tensor.shape[0]!, cols, changes.heads);
  if (changes.plus !== undefined) {
    const plus = changes.plus;
    return { read(first, count, out) { values.read(first, count, out); for (let i = 0; i < count; i += 1) out[i] = out[i]! + plus; } };
  }
  if (changes.transposed !== true) return values;
  const total = elementCount(shape);
  if (8 * total > context.memoryCapBytes) throw new JobError(`${tensor.name} is transposed in a GGUF file, which needs ${8 * total} bytes of memory; the limit is ${context.memoryCapBytes}`);
  const [rows, columns] = [tensor.shape[0]!, tensor.shape[1]!];
  let turned: Float32Array | null = null;
  return {
    read(first, count, out) {
      if (!turned) {
        const stored = new Float32Array(total);
        values.read(0, total, stored);
        turned = new Float32Array(total);
        for (let row = 0; row < rows; row += 1) for (let col = 0; col < columns; col += 1) turned[col * rows + row] = stored[row * columns + col]!;
      }
      out.set(turned.subarray(first, first + count));
    },
  };
}

function floatsOf(tensor: TensorInfo, reader: TensorReader): ValueReader {
  if (tensor.encoding) return storedValues(tensor, reader);
  if (tensor.dtype === 'F4' || tensor.dtype === 'F64') {
    const read = numberReader(tensor, reader);
    return { read(first, count, out) { const numbers = new Float64Array(count); read(first, count, numbers); out.set(numbers); } };
  }
  let bytes = new Uint8Array(0);
  return {
    read(first, count, out) {
      const width = (tensor.bytes / Math.max(1, elementCount(tensor.shape)));
      if (bytes.length < count * width) bytes = new Uint8Array(count * width);
      reader.readInto(tensor, first, count, bytes);
      decodeFloats(tensor.dtype, bytes, count, out);
    },
  };
}

/** Opens the file as any reader would: every tensor has the bytes that were written, and blocks decode to the values that were computed. */
async function readBack(file: string, target: string, plans: readonly Plan[], proofs: ReadonlyMap<string, Proof>, pause: (elements: number) => Promise<void>): Promise<void> {
  const written = await openCheckpoint(file);
  const byName = new Map(written.tensors.map((tensor) => [tensor.name, tensor]));
  const wrong = (name: string): never => { throw new JobError(`${target} does not read back as it was written (${name}); the disk or the memory may be failing. Delete it and try again`); };
  if (byName.size !== plans.length) wrong('number of tensors');
  const reader = TensorReader.open(written);
  try {
    for (const { name, shape, type, quantized } of plans) {
      const tensor = byName.get(name);
      const proof = proofs.get(name)!;
      if (!tensor || tensor.shape.join() !== shape.join() || shownDtype(tensor) !== type.name) return wrong(name);
      const [bytes, values] = [createHash('sha256'), createHash('sha256')];
      for (let at = 0; at < tensor.bytes; at += 2 ** 20) {
        const piece = new Uint8Array(Math.min(2 ** 20, tensor.bytes - at));
        reader.readStored(tensor, at, piece);
        bytes.update(piece);
      }
      if (bytes.digest('hex') !== proof.bytes.digest('hex')) wrong(name);
      const total = elementCount(shape);
      const stored = quantized ? storedValues(tensor, reader) : null;
      for (let first = 0; first < total; first += BAND) {
        const count = Math.min(BAND, total - first);
        if (stored) {
          const piece = new Float32Array(count);
          stored.read(first, count, piece);
          values.update(viewOf(piece));
        }
        await pause(count);
      }
      if (stored && values.digest('hex') !== proof.values.digest('hex')) wrong(name);
    }
  } finally {
    reader.close();
  }
}
