/** A graph with the weights of a checkpoint, parts of which can be run with some weights replaced. */
import { elementCount, openCheckpoint, TensorReader, type Checkpoint, type TensorInfo } from '../checkpoint';
import type { Graph, GraphInitializer } from '../graph/graph';
import { resolveGraph } from '../graph/resolve';
import { numberReader, wholeValues } from '../jobs/numbers';
import { startFile, startModel, type NamedArray, type RunningModel } from './run-model';

/** Bytes of a model that is handed over in memory. */
const MOST_HANDED_OVER = 2 ** 30;

/** Elements of an initializer that is written out in the graph. */
const MOST_WRITTEN = 64;

export class PreparedModel {
  private readonly byName: ReadonlyMap<string, TensorInfo>;
  private readonly bytes: number;

  private constructor(readonly graph: Graph, readonly checkpoint: Checkpoint, private readonly reader: TensorReader, private readonly threads: number, private readonly changed: ReadonlyMap<string, Float32Array> = new Map()) {
    this.byName = new Map([...checkpoint.tensors, ...(checkpoint.derived ?? [])].map((tensor) => [tensor.name, tensor]));
    this.bytes = checkpoint.files.reduce((sum, { identity }) => sum + identity.size, 0);
  }

  /** @throws CheckpointError when the checkpoint cannot be read. */
  static async open(graph: Graph, path: string, threads: number): Promise<PreparedModel> {
    const checkpoint = await openCheckpoint(path);
    return new PreparedModel(graph, checkpoint, TensorReader.open(checkpoint), threads);
  }

  /**
   * The same model with another graph, or with other values of tensors, in storage order: they stand for the checkpoint's in all that
   * is done with it. It lives as long as this one, which is closed for both.
   */
  with({ graph = this.graph, changed }: { readonly graph?: Graph; readonly changed?: ReadonlyMap<string, Float32Array> }): PreparedModel {
    return new PreparedModel(graph, this.checkpoint, this.reader, this.threads, new Map([...this.changed, ...changed ?? []]));
  }
  /** Tensors whose values are not the checkpoint's. */
  get changes(): ReadonlyMap<string, Float32Array> {
    return this.changed;
  }

  /** Values of a tensor in storage order. @throws Error for a name the checkpoint does not have. */
  values(name: string): Float32Array {
    const changed = this.changed.get(name);
    if (changed) return changed;
    const tensor = this.byName.get(name);
    if (!tensor) throw new Error(`the checkpoint has no tensor ${JSON.stringify(name)}`);
    return wholeValues(tensor, this.reader);
  }

  /**
   * The graph with its small whole-number initializers (axes, steps, shapes) written out, as traced graphs have them: gradients ask what
   * they are.
   */
  withNumbersWritten(): Graph {
    const written = (each: GraphInitializer): GraphInitializer => {
      const { data, type, shape } = each;
      const tensor = 'checkpoint' in data ? this.byName.get(data.checkpoint) : undefined;
      const count = elementCount(shape);
      if (!tensor || (type !== 'I64' && type !== 'I32') || tensor.dtype !== type || count > MOST_WRITTEN) return each;
      const numbers = new Float64Array(count);
      numberReader(tensor, this.reader)(0, count, numbers);
      // "To the end" is the largest number there is.
      return { ...each, data: { values: Array.from(numbers, (value) => Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value))) } };
    };
    return { ...this.graph, initializers: this.graph.initializers.map(written) };
  }

  /**
   * Prepares a part of the graph (see graph/cut.ts) for running.
   * @param replaced values, in storage order, of checkpoint tensors that differ from the checkpoint's
   */
  start(part: Graph = this.graph, replaced: ReadonlyMap<string, Float32Array> = new Map()): Promise<RunningModel> {
    // A model that is too large to be handed over in one piece is loaded by onnxruntime itself, as long as nothing is changed.
    if (part === this.graph && replaced.size === 0 && this.changed.size === 0 && part.file === this.checkpoint.path && this.bytes > MOST_HANDED_OVER) return startFile(part, part.file, this.threads);
    const model = resolveGraph(part, this.checkpoint, this.reader);
    const initializers = model.initializers.map((initializer, i) => {
      const { data, type } = part.initializers[i]!;
      const values = 'checkpoint' in data ? replaced.get(data.checkpoint) ?? this.changed.get(data.checkpoint) : undefined;
      if (!values) return initializer;
      if (type !== 'F32') throw new Error(`${JSON.stringify(initializer.name)} is of type ${type} in the graph; only float32 weights can be replaced`);
      return { ...initializer, write: (sink: (chunk: Uint8Array) => void) => sink(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) };
    });
    return startModel({ ...model, initializers }, this.threads);
  }

  close(): void {
    this.reader.close();
  }
}

/** Bytes that an array holds. */
export const arrayBytes = (array: NamedArray): number => array.data.byteLength;
