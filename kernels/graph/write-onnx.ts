/**
 * Writes ONNX models (onnx.proto of ONNX 1.16 and later): nodes, and initializers of any type, inline or in a data file
 * beside the model. Large tensors are streamed; nothing but the graph itself is held in memory.
 */
import { unlink } from 'node:fs/promises';
import path from 'node:path';
import { AtomicFile, NODE_FILES, type FileOperations } from '../checkpoint/atomic-file';
import { checkedBytes, checkedProduct } from '../checkpoint/checked';
import type { Attribute, Graph, GraphDim, GraphNode, GraphValue } from './graph';
import { onnxTypeBits, onnxTypeCode, type OnnxType } from './onnx-types';
import { bytesField, joined, nested, real, text, totalSize, varint, whole, wholes, type Piece } from './protobuf';
import { smallTensorBytes } from './small-tensor';

/** One initializer to write. `write` hands over its bytes, little-endian and row-major, in pieces of any size. */
export interface OnnxInitializer {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  write(sink: (chunk: Uint8Array) => void): void | Promise<void>;
}

/** A graph whose initializers have found their values. */
export type OnnxModel = Omit<Graph, 'initializers' | 'outputs'> & {
  /** Without a type where it is left to whoever runs the model. */
  readonly outputs: readonly (GraphValue | Pick<GraphValue, 'name'>)[];
  readonly initializers: readonly OnnxInitializer[];
  /** Pairs for the model's metadata. */
  readonly metadata?: readonly (readonly [string, string])[];
};

export interface WriteOnnxOptions {
  /** `auto`: beside the model when everything together is more than protobuf can hold (2 GB). */
  readonly external?: boolean | 'auto';
  readonly signal?: AbortSignal;
  readonly files?: FileOperations;
  /** Looks at the whole model, which is on the disk under a name of its own, its data file beside it, before it takes its place. When it throws there is neither. */
  readonly prove?: (temporary: string) => Promise<void>;
}

export interface WrittenOnnx {
  readonly bytes: number;
  readonly sha256: string;
  /** The data file written beside the model. */
  readonly data?: { readonly path: string; readonly bytes: number; readonly sha256: string };
}

const PROTOBUF_LIMIT = 2 ** 31 - 1;
/** Tensors of a data file start at multiples of a page, so that they can be mapped. */
const ALIGNMENT = 4096;
/** Smaller initializers stay in the model: shape inference of runtimes wants to see them. */
const INLINE_BELOW = 1024;
const PRODUCER = 'bitlens';

/**
 * Writes a model atomically. With a data file, that one is complete before the model that names it appears.
 *
 * @throws Error when an initializer is wrong, a write fails or the signal is aborted; an existing model is then untouched.
 */
export async function writeOnnx(file: string, model: OnnxModel, options: WriteOnnxOptions = {}): Promise<WrittenOnnx> {
  const sizes = new Map(model.initializers.map((initializer) => [initializer.name, bytesOf(initializer)] as const));
  if (sizes.size !== model.initializers.length) throw new Error('an initializer is given twice');
  const whole_ = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const inline = modelPieces(model, sizes, null);
  const external = options.external === true || (options.external !== false && totalSize(inline) > PROTOBUF_LIMIT);
  if (!external) {
    if (totalSize(inline) > PROTOBUF_LIMIT) throw new Error(`the model would be ${whole_} bytes, more than an ONNX file can hold without a data file beside it`);
    return writePieces(file, inline, options);
  }
  const dataPath = `${file}.data`;
  const places = placesOf(model.initializers, sizes);
  const { prove, ...plain } = options;
  const data = await writePieces(dataPath, dataPieces(model.initializers, sizes, places), plain);
  try {
    const written = await writePieces(file, modelPieces(model, sizes, { location: path.basename(dataPath), places }), options);
    return { ...written, data: { path: dataPath, ...data } };
  } catch (error) {
    // What is named by no model is of no use; where nothing is proven, the caller sees to it.
    if (prove) await unlink(dataPath).catch(() => undefined);
    throw error;
  }
}

/** Whether `auto` would put large tensors into a file beside the model. */
export function needsDataFile(model: OnnxModel): boolean {
  return totalSize(modelPieces(model, new Map(model.initializers.map((initializer) => [initializer.name, bytesOf(initializer)] as const)), null)) > PROTOBUF_LIMIT;
}

/**
 * The model as bytes in memory, for running it.
 * @throws Error when it is larger than protobuf can hold.
 */
export async function encodeOnnx(model: OnnxModel): Promise<Uint8Array> {
  const sizes = new Map(model.initializers.map((initializer) => [initializer.name, bytesOf(initializer)] as const));
  const pieces = modelPieces(model, sizes, null);
  const size = totalSize(pieces);
  if (size > PROTOBUF_LIMIT) throw new Error(`the model is ${size} bytes, more than can be handed over in one piece`);
  const out = new Uint8Array(size);
  let at = 0;
  await handOver(pieces, (chunk) => { out.set(chunk, at); at += chunk.length; });
  return out;
}

async function handOver(pieces: readonly Piece[], sink: (chunk: Uint8Array) => void, signal?: AbortSignal): Promise<void> {
  for (const piece of joined(pieces)) {
    signal?.throwIfAborted();
    if (piece instanceof Uint8Array) sink(piece);
    else await piece.write(sink);
  }
}

async function writePieces(target: string, pieces: readonly Piece[], { files = NODE_FILES, signal, prove }: WriteOnnxOptions): Promise<{ bytes: number; sha256: string }> {
  const file = new AtomicFile(target, files);
  try {
    await handOver(pieces, (chunk) => file.write(chunk), signal);
    signal?.throwIfAborted();
    if (prove) {
      file.finish();
      await prove(file.temporary);
    }
    const sha256 = await file.commit();
    return { bytes: file.bytes, sha256 };
  } catch (error) {
    file.discard();
    throw error;
  }
}

function bytesOf({ name, type, shape }: OnnxInitializer): number {
  if (onnxTypeCode(type) === undefined) throw new Error(`${JSON.stringify(name)}: ONNX has no element type for ${type}`);
  const count = shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) ? checkedProduct(shape, Number.MAX_SAFE_INTEGER) : null;
  const bits = count === null ? null : count * onnxTypeBits(type);
  // Types below a byte fill up the last one.
  const bytes = bits === null ? null : checkedBytes(Math.ceil(bits / 8), 8);
  if (bytes === null) throw new Error(`${JSON.stringify(name)}: [${shape.join(', ')}] is no shape of a tensor`);
  return bytes;
}

/** The bytes of one initializer, held to the number its shape says: the lengths before it are written already. */
function contents(initializer: OnnxInitializer, size: number): Piece {
  return {
    size,
    async write(sink) {
      let written = 0;
      await initializer.write((chunk) => {
        written += chunk.length;
        if (written > size) throw new Error(`${JSON.stringify(initializer.name)} wrote more than the ${size} bytes of its shape`);
        sink(chunk);
      });
      if (written !== size) throw new Error(`${JSON.stringify(initializer.name)} wrote ${written} bytes, but its shape needs ${size}`);
    },
  };
}

interface External { readonly location: string; readonly places: ReadonlyMap<string, number> }

function placesOf(initializers: readonly OnnxInitializer[], sizes: ReadonlyMap<string, number>): Map<string, number> {
  const places = new Map<string, number>();
  let at = 0;
  for (const { name } of initializers) {
    const size = sizes.get(name)!;
    if (size < INLINE_BELOW) continue;
    places.set(name, at);
    at = Math.ceil((at + size) / ALIGNMENT) * ALIGNMENT;
  }
  return places;
}

function dataPieces(initializers: readonly OnnxInitializer[], sizes: ReadonlyMap<string, number>, places: ReadonlyMap<string, number>): Piece[] {
  let at = 0;
  return initializers.flatMap((initializer): Piece[] => {
    const place = places.get(initializer.name);
    if (place === undefined) return [];
    const size = sizes.get(initializer.name)!;
    const gap = new Uint8Array(place - at);
    at = place + size;
    return [gap, contents(initializer, size)];
  });
}

// ---- messages, with the field numbers of onnx.proto ----

/** Version 10 brought metadata of nodes and the types of 4 bits; later ones came with an operator set each. */
const irVersion = (opset: number): number => (opset < 23 ? 10 : opset === 23 ? 11 : opset === 24 ? 12 : 13);

function modelPieces(model: OnnxModel, sizes: ReadonlyMap<string, number>, external: External | null): Piece[] {
  const opsets = [['', model.opset] as const, ...Object.entries(model.domains ?? {})];
  return [
    ...whole(1, irVersion(model.opset)), ...text(2, PRODUCER),
    ...nested(7, graphPieces(model, sizes, external)),
    ...opsets.flatMap(([domain, version]) => nested(8, [...text(1, domain), ...whole(2, version)])),
    ...(model.metadata ?? []).flatMap(([name, value]) => nested(14, pair(name, value))),
    ...(model.functions ?? []).flatMap((each) => bytesField(25, Buffer.from(each, 'base64'))),
  ];
}
const pair = (name: string, value: string): Piece[] => [...text(1, name), ...text(2, value)];

function graphPieces(model: OnnxModel, sizes: ReadonlyMap<string, number>, external: External | null): Piece[] {
  const names = new Map<string, number>();
  return [
    ...model.nodes.flatMap((node) => nested(1, nodePieces(node, names))),
    ...text(2, model.name),
    ...model.initializers.flatMap((initializer) => nested(5, tensorPieces(initializer, sizes.get(initializer.name)!, external))),
    ...model.inputs.flatMap((value) => nested(11, valuePieces(value))),
    ...model.outputs.flatMap((value) => nested(12, valuePieces(value))),
    ...(model.values ?? []).flatMap((value) => nested(13, valuePieces(value))),
  ];
}

function nodePieces(node: GraphNode, names: Map<string, number>): Piece[] {
  const base = `/${node.module === '' ? '' : `${node.module.replaceAll('.', '/')}/`}${node.op}`;
  const count = names.get(base) ?? 0;
  names.set(base, count + 1);
  const { span } = node;
  return [
    ...node.inputs.flatMap((name) => text(1, name)), ...node.outputs.flatMap((name) => text(2, name)),
    ...text(3, count === 0 ? base : `${base}_${count}`), ...text(4, node.op),
    ...Object.entries(node.attributes ?? {}).flatMap(([name, value]) => nested(5, attributePieces(name, value))),
    ...(node.domain ? text(7, node.domain) : []),
    ...nested(9, pair('module', node.module)),
    ...(span ? nested(9, pair('source', `${path.basename(span.file)}:${span.startLine + 1}:${span.startColumn + 1}`)) : []),
  ];
}

function attributePieces(name: string, value: Attribute): Piece[] {
  if ('encoded' in value) return [Buffer.from(value.encoded, 'base64')];
  const [type, pieces] = attributeValue(value);
  return [...text(1, name), ...pieces, ...whole(20, type)];
}
function attributeValue(value: Exclude<Attribute, { encoded: string }>): [number, Piece[]] {
  if ('float' in value) return [1, real(2, value.float)];
  if ('int' in value) return [2, whole(3, value.int)];
  if ('text' in value) return [3, text(4, value.text)];
  if ('tensor' in value) {
    const { type, shape, values } = value.tensor;
    return [4, nested(5, [...wholes(1, shape), ...whole(2, onnxTypeCode(type)!), ...bytesField(9, smallTensorBytes(type, values))])];
  }
  if ('floats' in value) return [6, value.floats.flatMap((each) => real(7, each))];
  if ('ints' in value) return [7, wholes(8, value.ints)];
  return [8, value.texts.flatMap((each) => text(9, each))];
}

function tensorPieces(initializer: OnnxInitializer, size: number, external: External | null): Piece[] {
  const { name, type, shape } = initializer;
  const place = external?.places.get(name);
  return [
    ...wholes(1, shape), ...whole(2, onnxTypeCode(type)!), ...text(8, name),
    ...(place === undefined
      ? nested(9, [contents(initializer, size)])
      : [...[['location', external!.location], ['offset', String(place)], ['length', String(size)]].flatMap(([key_, value]) => nested(13, pair(key_!, value!))), ...whole(14, 1)]),
  ];
}

function valuePieces(value: GraphValue | Pick<GraphValue, 'name'>): Piece[] {
  const { name } = value;
  if (!('type' in value)) return text(1, name);
  const { type, shape, ranked } = value;
  if (ranked === false) return [...text(1, name), ...nested(2, nested(1, whole(1, onnxTypeCode(type)!)))];
  const dims = shape.flatMap((dim) => nested(1, dimPieces(dim)));
  return [...text(1, name), ...nested(2, nested(1, [...whole(1, onnxTypeCode(type)!), ...nested(2, dims)]))];
}
const dimPieces = (dim: GraphDim): Piece[] => (typeof dim === 'number' ? [varint(1 * 8), varint(dim)] : text(2, dim));
