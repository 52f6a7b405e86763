/**
 * Export of a quantized model as an ONNX model: its graph with each quantized weight in a layout of quantized ONNX, or as the values it
 * stands for. Read back by the ordinary reader, and loaded by onnxruntime, before it has its name.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { FLOAT_DTYPES, openCheckpoint, removeUnfinished, TensorReader, type Checkpoint, type TensorInfo } from '../checkpoint';
import type { Graph, GraphInitializer, GraphNode } from '../graph/graph';
import { freshNames } from '../graph/names';
import { withDecodedWeights } from '../graph/onnx/decoded-weights';
import { hasHalf, inFloat32 } from '../graph/onnx/float32';
import { raiseOpset } from '../graph/onnx/raise-opset';
import { readOnnxGraph } from '../graph/onnx/read-graph';
import { onnxTypeBits, type OnnxType } from '../graph/onnx-types';
import { productsOf, type Product } from '../graph/products';
import { resolveGraph } from '../graph/resolve';
import { needsDataFile, writeOnnx, type OnnxInitializer, type OnnxModel } from '../graph/write-onnx';
import { encodeFloats } from '../numerics/codecs';
import { roundTo } from '../stored/affine';
import { storedValues } from '../stored/registry';
import { kernelOps } from '../wasm/load';
import { asJobError } from './export';
import { hasBlocks, inStoredOrder, named, type PlannedWeight } from './export-codes';
import { eachTile, type EntryContext, type PackableWeight } from './export-entries';
import { NBITS_DOMAIN, nBitsPlan, nBitsStored, type NBitsPlan } from './export-nbits';
import { qdqPlan, qdqStored, type QdqPlan } from './export-qdq';
import { JobError, type JobContext, type QuantizeParams, type QuantizeResult } from './job';
import { refusal } from './onnx-refusal';
import type { QuantizedWeight } from './quantize';
import { filesOf, withCheckpointErrors } from './weights';

type ExportParams = NonNullable<QuantizeParams['export']>;
type ExportResult = NonNullable<QuantizeResult['export']>;
type OnnxLayout = 'dequantized' | 'auto' | 'qdq' | 'matmulnbits';

/** What becomes of one weight. `why`: no layout of quantized ONNX holds it. */
interface Choice<Weight extends PlannedWeight> {
  readonly weight: Weight;
  /** The initializers that are this weight, of one type. */
  readonly names: readonly string[];
  readonly type: OnnxType;
  readonly products: readonly Product[];
  readonly how: { readonly nBits: NBitsPlan } | { readonly qdq: QdqPlan } | { readonly why: string };
}
interface Plan<Weight extends PlannedWeight> {
  /** In the operator set that the layouts need. */
  readonly graph: Graph;
  readonly choices: readonly Choice<Weight>[];
  readonly notes: readonly string[];
}

/**
 * The graph to write: the one that is given, or that of the ONNX file which holds the weights. Weights that are stored quantized
 * become initializers where they are to be replaced.
 */
async function graphFor(checkpoint: Checkpoint, params: ExportParams, tensors: ReadonlySet<string>): Promise<Graph> {
  if (params.graph) return params.graph;
  if (checkpoint.format !== 'onnx') throw new JobError(`${checkpoint.path} holds weights, but no graph of operators, which an ONNX model needs; name the model's source as TARGET, or export safetensors`);
  const graph = await withCheckpointErrors(() => readOnnxGraph(checkpoint));
  const derived = new Set((checkpoint.derived ?? []).map(({ name }) => name).filter((name) => tensors.has(name)));
  if (derived.size === 0) return graph;
  return withDecodedWeights(hasHalf(graph) ? inFloat32(graph) : graph, checkpoint, derived);
}

/**
 * What would become of each weight.
 * @param changed other tensors that get values of their own
 * @throws JobError where a weight does not fit the layout that was asked for, or the graph applies none of them
 */
export async function planGraphExport<Weight extends PlannedWeight>(checkpoint: Checkpoint, params: ExportParams, weights: readonly Weight[], changed: Iterable<string> = []): Promise<Plan<Weight>> {
  const layout = (params.layout ?? 'auto') as OnnxLayout;
  const distinct = [...new Map(weights.map((weight) => [weight.task.tensor, weight])).values()];
  const graph = await graphFor(checkpoint, params, new Set([...distinct.map(({ task }) => task.tensor), ...changed]));
  const uses = new Map<string, { names: string[]; type: OnnxType; shape: readonly number[] }>();
  for (const { name, type, shape, data } of graph.initializers) {
    // Codes may have the name of the weight that they are decoded to.
    if (!('checkpoint' in data) || !FLOAT_DTYPES.has(type as TensorInfo['dtype'])) continue;
    const use = uses.get(data.checkpoint);
    if (use?.type === type) use.names.push(name);
    else if (!use) uses.set(data.checkpoint, { names: [name], type, shape });
  }
  const missing = distinct.filter(({ task }) => !uses.has(task.tensor));
  const used = distinct.filter(({ task }) => uses.has(task.tensor));
  if (used.length === 0 && missing.length > 0) throw new JobError(`the graph of the model applies none of the weights that would be quantized (${named(missing.map(({ task }) => task.key))}), so that nothing of them would be written; export safetensors`);
  const choices = used.map((weight): Choice<Weight> => {
    const { names, type, shape } = uses.get(weight.task.tensor)!;
    const { tensor } = weight.weight;
    const found = names.map((name) => (shape.length === 2 ? productsOf(graph, name, weight.task.outputAxis) : `it has ${shape.length} dimensions`));
    const other = found.find((each) => typeof each === 'string');
    const products = found.flatMap((each) => (typeof each === 'string' ? [] : each));
    const how = shape.join() === tensor.shape.join() ? chosen(layout, weight, type, other ?? products, graph.nodes.some(({ op, inputs }) => op === 'Transpose' && names.includes(inputs[0]!))) : { why: `it is [${shape.join(', ')}] in the graph and [${tensor.shape.join(', ')}] in the checkpoint` };
    return { weight, names, type, products, how };
  });
  const notes = missing.length > 0 ? [`not in the model, whose graph does not apply them: ${named(missing.map(({ task }) => task.key))}`] : [];
  return raised(layout, graph, choices, notes);
}

function chosen(layout: OnnxLayout, weight: PlannedWeight, type: OnnxType, products: readonly Product[] | string, isTurned: boolean): Choice<PlannedWeight>['how'] {
  if (layout === 'dequantized') return { why: '' };
  const nBits = layout === 'qdq' ? null : nBitsPlan(weight, type, products);
  // Where one scale holds for a whole output channel, DequantizeLinear says so, and more runtimes take it.
  const grouped = hasBlocks(weight) && weight.format.granularity?.kind === 'group';
  if (nBits !== null && typeof nBits !== 'string' && (layout === 'matmulnbits' || (grouped && nBits.exact))) return { nBits };
  if (layout === 'matmulnbits') return { why: String(nBits) };
  const qdq = qdqPlan(weight, type, isTurned);
  return typeof qdq === 'string' ? { why: qdq } : { qdq };
}

/** The plan in an operator set that has what it needs; without what needs one that the graph cannot have, where the layout is left open. */
function raised<Weight extends PlannedWeight>(layout: OnnxLayout, graph: Graph, choices: readonly Choice<Weight>[], notes: string[]): Plan<Weight> {
  const unfit = choices.filter((choice): choice is Choice<Weight> & { how: { why: string } } => 'why' in choice.how && choice.how.why !== '');
  const reasons = new Map<string, string[]>();
  for (const { weight, how } of unfit) reasons.set(how.why, [...(reasons.get(how.why) ?? []), weight.task.key]);
  if (unfit.length > 0 && layout !== 'auto') {
    throw new JobError(`the ${layout} layout cannot hold ${[...reasons].slice(0, 3).map(([why, keys]) => `${named(keys)}: ${why}`).join('; nor ')}${reasons.size > 3 ? `; and ${reasons.size - 3} more reasons` : ''}. Leave these layers out, or choose the layout auto, which writes them as ordinary values`);
  }
  const needed = Math.max(graph.opset, ...choices.map(({ how }) => ('qdq' in how ? how.qdq.opset : 0)));
  const later = raiseOpset(graph, needed);
  if (typeof later === 'string') {
    if (layout !== 'auto') throw new JobError(`the ${layout} layout does not fit: ${later}, or choose the layout auto, which writes as ordinary values what needs it`);
    return raised(layout, graph, choices.map((choice) => ('qdq' in choice.how && choice.how.qdq.opset > graph.opset ? { ...choice, how: { why: later } } : choice)), notes);
  }
  for (const [why, keys] of reasons) notes.push(`written as ordinary values, because ${why}: ${named(keys)}`);
  return { graph: later, choices, notes: [...notes, ...layoutNotes(graph, later, choices)] };
}

/** Does onnxruntime put MatMulNBits in place of this product and DequantizeLinear, with activations in 8 bits? What is turned for it only where it turns the codes itself (1.30). */
function isRounded({ op, attributes }: GraphNode, { turns }: Product, bits: number): boolean {
  const turnB = attributes?.transB;
  return op === 'MatMul' ? turns.length === 0 || bits === 8 : turns.length === 0 && !(turnB && 'int' in turnB && turnB.int !== 0);
}

/** What a reader of the file should know of how formats became types of ONNX. */
function layoutNotes(before: Graph, after: Graph, choices: readonly Choice<PlannedWeight>[]): string[] {
  const counts = { MatMulNBits: 0, DequantizeLinear: 0 };
  const wider = new Map<string, string[]>();
  let [shorter, rounds] = [false, false];
  for (const { weight: planned, how, products } of choices) {
    if ('why' in how) continue;
    const { format, task } = planned;
    counts['nBits' in how ? 'MatMulNBits' : 'DequantizeLinear'] += 1;
    const bits = 'nBits' in how ? how.nBits.bits : onnxTypeBits(how.qdq.type);
    if (bits > format.codeBits) wider.set(`${format.codeBits} in ${bits}`, [...(wider.get(`${format.codeBits} in ${bits}`) ?? []), task.key]);
    rounds ||= 'qdq' in how && how.qdq.block === 0 && bits <= 8 && /^[IU]/.test(how.qdq.type) && products.some((product) => isRounded(before.nodes[product.at]!, product, bits));
    shorter ||= hasBlocks(planned) && format.granularity !== null && planned.format.scaleStorage !== 'f32' && ('nBits' in how ? how.nBits : how.qdq).scaleType === 'F32';
  }
  return [
    ...(counts.MatMulNBits + counts.DequantizeLinear > 0 ? [Object.entries(counts).filter(([, count]) => count > 0).map(([op, count]) => `${count} ${count === 1 ? 'weight' : 'weights'} with ${op}`).join(', ')] : []),
    ...[...wider].map(([bits, keys]) => `codes take a wider type of ONNX, ${bits} bits: ${named(keys)}`),
    ...(shorter ? ['scales are stored as F32, which holds those of the format exactly'] : []),
    ...(rounds ? ['onnxruntime multiplies with such weights after rounding activations to 8 bits, unless its session option session.qdq_matmulnbits_accuracy_level is 1; weights in groups are written so that it does not'] : []),
    ...(after.opset > before.opset ? [`operator set ${after.opset} instead of ${before.opset}`] : []),
  ];
}

/**
 * @param changed values, in storage order, of other tensors that differ from the checkpoint's
 * @throws JobError when the model cannot be written or does not read back as it should.
 */
export async function exportGraph(checkpoint: Checkpoint, weights: readonly QuantizedWeight[], params: ExportParams, context: JobContext, changed: ReadonlyMap<string, Float32Array>): Promise<ExportResult> {
  const target = path.resolve(params.path);
  const plan = await planGraphExport(checkpoint, params, weights, changed.keys());
  const reader = TensorReader.open(filesOf(checkpoint));
  let label = `Writing ${path.basename(target)}`;
  const [total, done] = [2 * plan.graph.initializers.length, { count: 0 }];
  const entryContext: EntryContext = {
    reader, ops: await kernelOps(), memoryCapBytes: context.memoryCapBytes, throwIfCancelled: () => { context.throwIfCancelled(); },
    pause: async () => { await new Promise<void>((resolve) => { setImmediate(resolve); }); context.throwIfCancelled(); },
  };
  const step = (): void => { done.count += 1; context.progress(Math.min(done.count, total), total, label); };
  try {
    const { model, codes } = modelOf(plan, checkpoint, changed, params, entryContext);
    if (needsDataFile(model) && existsSync(`${target}.data`)) throw new JobError(`${target}.data is there already, and would be written with the values of the exported model; remove it, or choose another name`);
    const initializers = model.initializers.map((initializer): OnnxInitializer => ({ ...initializer, write: async (sink) => { context.throwIfCancelled(); await initializer.write(sink); step(); } }));
    context.writesInto(path.dirname(target));
    await removeUnfinished(path.dirname(target));
    const written = await asJobError(target, () => withCheckpointErrors(() => writeOnnx(target, { ...model, initializers }, {
      external: 'auto',
      prove: async (temporary) => {
        label = `Reading back ${path.basename(target)}`;
        await verify(temporary, target, initializers, codes, entryContext);
        const refused = await refusal(temporary);
        // Types that onnxruntime does not run on a CPU (bfloat16) it refuses in the original as well.
        if (refused !== null && (checkpoint.format !== 'onnx' || await refusal(checkpoint.path) === null)) throw new JobError(`onnxruntime refuses ${target}: ${refused}`);
      },
    })));
    const notes = [...plan.notes, ...(written.data ? [`its values are in ${path.basename(written.data.path)}`] : [])];
    return { path: target, bytes: written.bytes + (written.data?.bytes ?? 0), verifiedTensors: initializers.length, sha256: written.sha256, ...(notes.length > 0 ? { notes } : {}) };
  } finally { reader.close(); }
}

interface WrittenCodes {
  readonly weight: QuantizedWeight;
  /** They lie as [outputs, inputs], whatever the weight's own order is. */
  readonly turned: boolean;
}

/** @returns the model, and the quantized weights by the tensors of their codes */
function modelOf({ graph, choices }: Plan<QuantizedWeight>, checkpoint: Checkpoint, changed: ReadonlyMap<string, Float32Array>, params: ExportParams, context: EntryContext): { model: OnnxModel; codes: Map<string, WrittenCodes> } {
  const fresh = freshNames(graph);
  const gone = new Set(choices.flatMap(({ names }) => names));
  const [first, added, codes] = [[] as GraphNode[], [] as OnnxInitializer[], new Map<string, WrittenCodes>()];
  const replaced = new Map<number, readonly GraphNode[]>();
  for (const { weight, names, type, products, how } of choices) {
    if ('why' in how) {
      for (const name of names) added.push(valuesOf(weight, name, type, context));
      continue;
    }
    const packable = weight as PackableWeight;
    // Readers find the weight's name in that of its codes.
    const base = params.graph ? names[0]! : weight.task.tensor;
    if ('qdq' in how) {
      const module = graph.nodes.find(({ inputs }) => inputs.some((name) => names.includes(name)))?.module ?? '';
      const stored = qdqStored(how.qdq, packable, { base, names, type, module }, fresh, context);
      codes.set(stored.codes, { weight, turned: how.qdq.turned });
      added.push(...stored.initializers);
      first.push(...stored.nodes);
      continue;
    }
    const stored = nBitsStored(how.nBits, packable, base, products, graph.nodes, fresh, context);
    codes.set(stored.codes, { weight, turned: true });
    added.push(...stored.initializers);
    for (const [at, nodes] of stored.replaced) replaced.set(at, nodes);
  }
  const rest = { ...graph, file: undefined, initializers: graph.initializers.filter(({ name }) => !gone.has(name)) };
  let resolved: OnnxModel;
  try { resolved = resolveGraph(rest, checkpoint, context.reader); } catch (error) { throw new JobError(error instanceof Error ? error.message : String(error)); }
  const nodes = [...first, ...graph.nodes.flatMap((node, at) => replaced.get(at) ?? [node])];
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const metadata = new Map([...(params.graph ? [] : checkpoint.metadata), ...params.metadata ?? []]);
  return {
    codes,
    model: {
      ...resolved, nodes, initializers: [...resolved.initializers.map((initializer, i) => withValues(initializer, rest.initializers[i]!, changed)), ...added], metadata: [...metadata],
      ...(replaced.size > 0 ? { domains: { ...graph.domains, [NBITS_DOMAIN]: graph.domains?.[NBITS_DOMAIN] ?? 1 } } : {}),
      ...(graph.values ? { values: graph.values.filter(({ name }) => made.has(name)) } : {}),
    },
  };
}

/** An initializer with the values that its tensor has now. */
function withValues(initializer: OnnxInitializer, { data }: GraphInitializer, changed: ReadonlyMap<string, Float32Array>): OnnxInitializer {
  const values = 'checkpoint' in data && FLOAT_DTYPES.has(initializer.type as TensorInfo['dtype']) ? changed.get(data.checkpoint) : undefined;
  if (!values) return initializer;
  return { ...initializer, write: (sink) => { sink(encoded(initializer.type, values)); } };
}

function encoded(type: OnnxType, values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length * onnxTypeBits(type)) / 8);
  encodeFloats(type as Parameters<typeof encodeFloats>[0], values, values.length, bytes);
  return bytes;
}

/** A weight as ordinary values: those that its codes stand for, in the type that the graph has. */
function valuesOf(weight: QuantizedWeight, name: string, type: OnnxType, context: EntryContext): OnnxInitializer {
  return {
    name, type, shape: weight.weight.tensor.shape,
    write: (sink) => inStoredOrder(weight, context, (codes) => weight.format.decode(codes), (length) => new Float32Array(length), (values) => { sink(encoded(type, Float32Array.from(values))); }),
  };
}

/** Every tensor is the bytes that were written, and every quantized weight is recognised and stands for exactly the values that were judged. */
async function verify(file: string, target: string, initializers: readonly OnnxInitializer[], codes: ReadonlyMap<string, WrittenCodes>, context: EntryContext): Promise<void> {
  const written = await openCheckpoint(file);
  const wrong = (name: string): never => { throw new JobError(`${target} does not read back as it was written (${name}); the disk or the memory may be failing. Try again`); };
  const byName = new Map(written.tensors.map((tensor) => [tensor.name, tensor]));
  const derived = new Map((written.derived ?? []).map((weight) => [weight.replaces[0]!, weight]));
  const reader = TensorReader.open(written);
  try {
    for (const initializer of initializers) {
      const tensor = byName.get(initializer.name) ?? wrong(initializer.name);
      let at = 0;
      await initializer.write((chunk) => {
        if (at + chunk.length > tensor.bytes) wrong(initializer.name);
        const found = new Uint8Array(chunk.length);
        reader.readStored(tensor, at, found);
        at += chunk.length;
        if (Buffer.compare(found, chunk) !== 0) wrong(initializer.name);
      });
      if (at !== tensor.bytes) wrong(initializer.name);
    }
    for (const [name, { weight, turned }] of codes) {
      const { layout, tensor } = weight.weight;
      const read = derived.get(name) ?? wrong(`${name} is not recognised`);
      const shape = turned ? [layout.rows, layout.cols] : tensor.shape;
      if (read.shape.join() !== shape.join()) wrong(`${name} is [${read.shape.join(', ')}]`);
      const values = storedValues(read, reader);
      let at = 0;
      const compare = (numbers: ArrayLike<number>): void => {
        const [expected, found] = [Float32Array.from(numbers), new Float32Array(numbers.length)];
        values.read(at, found.length, found);
        at += found.length;
        // Scales in half precision make values of half precision.
        roundTo(read.dtype, expected, expected.length);
        // Zeros of either sign are one value.
        if (!expected.every((value, i) => value === found[i])) wrong(name);
      };
      if (turned) await eachTile(weight, context, (tile) => { compare(weight.format.decode(tile)); });
      else await inStoredOrder(weight, context, (tile) => weight.format.decode(tile), (length) => new Float32Array(length), compare);
      if (at !== weight.weight.weights) wrong(name);
    }
  } finally { reader.close(); }
}
