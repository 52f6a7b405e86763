/**
 * Second moments and means of what a weight is applied to, accumulated over batches. Products are float32 within a batch (of
 * onnxruntime) and float64 between batches.
 *
 * Convolutions: an input is a patch. Patches are cut out by the same operator with a kernel of ones and zeros, so that strides,
 * padding, dilation and groups are the operator's own.
 */
import type { WeightLayout } from '../formats/blocks';
import type { Attribute, Graph, GraphInitializer, GraphNode, GraphValue } from '../graph/graph';
import type { InputGroup, LayerInputs } from '../methods/method';
import { startModel, type NamedArray, type RunningModel } from './run-model';
import type { LayerSite } from './sites';

/** Accumulates the inputs of one weight over batches and sites. */
export class MomentSums {
  private readonly moments: Float64Array[];
  private readonly means: Float64Array[];
  private positions = 0;

  /** @param groups runs of output channels that see different inputs. */
  constructor(private readonly layout: Pick<WeightLayout, 'rows' | 'cols'>, readonly groups: number) {
    this.moments = Array.from({ length: groups }, () => new Float64Array(layout.cols * layout.cols));
    this.means = Array.from({ length: groups }, () => new Float64Array(layout.cols));
  }

  add(moment: Float32Array, mean: Float32Array, positions: number): void {
    const { cols } = this.layout;
    this.moments.forEach((sum, g) => { for (let i = 0, at = g * cols * cols; i < sum.length; i += 1) sum[i]! += moment[at + i]!; });
    this.means.forEach((sum, g) => { for (let i = 0, at = g * cols; i < cols; i += 1) sum[i]! += mean[at + i]!; });
    this.positions += positions;
  }

  /** Null when nothing was seen. */
  inputs(): LayerInputs | null {
    const { positions } = this;
    if (positions === 0) return null;
    const groups = this.moments.map((moment, g): InputGroup => ({ moment: moment.map((value) => value / positions), mean: this.means[g]!.map((value) => value / positions) }));
    return { positions, groups };
  }
}

/** Runs of output channels with inputs of their own. */
export function groupsOf({ kind, node }: LayerSite): number {
  const group = node.attributes?.group;
  return kind !== 'linear' && group && 'int' in group ? group.int : 1;
}

/** A model that takes a batch of what goes into a site and gives its sums. */
export interface MomentModel { sums(input: NamedArray): Promise<{ moment: Float32Array; mean: Float32Array; positions: number }>; close(): Promise<void> }

/**
 * @param kernel shape of the weight as the operator takes it: [out, in / groups, ...] or, transposed, [in, out / groups, ...]
 * @throws Error for a lookup, which multiplies nothing.
 */
export async function momentModel(site: LayerSite, input: GraphValue, kernel: readonly number[], cols: number, threads: number): Promise<MomentModel> {
  const running = await startModel({ ...momentGraph(site, input, kernel, cols) }, threads);
  return {
    async sums(array) {
      const out = await running.run(new Map([['x', array]]));
      return { moment: out.get('moment')!.data as Float32Array, mean: out.get('mean')!.data as Float32Array, positions: out.get('patches')!.shape.at(-1)! };
    },
    close: () => (running satisfies RunningModel).close(),
  };
}

function momentGraph(site: LayerSite, input: GraphValue, kernel: readonly number[], cols: number): Parameters<typeof startModel>[0] {
  const nodes: GraphNode[] = [];
  const initializers: (GraphInitializer & { write(sink: (chunk: Uint8Array) => void): void })[] = [];
  const emit = (op: string, inputs: string[], output: string, attributes: Record<string, Attribute> = {}): string => { nodes.push({ op, inputs, outputs: [output], attributes, module: '' }); return output; };
  const constant = (name: string, shape: readonly number[], values: Float32Array | BigInt64Array): string => {
    initializers.push({ name, type: values instanceof Float32Array ? 'F32' : 'I64', shape, data: { values: [] }, write: (sink) => sink(new Uint8Array(values.buffer)) });
    return name;
  };
  const whole = (name: string, ...values: number[]): string => constant(name, [values.length], BigInt64Array.from(values, BigInt));
  const groups = groupsOf(site);
  if (site.kind === 'lookup') throw new Error('a lookup multiplies nothing');
  // patches: [groups, cols, positions]
  if (site.kind === 'linear') {
    emit('Reshape', ['x', whole('flat', 1, -1, cols)], 'rows');
    emit('Transpose', ['rows'], 'patches', { perm: { ints: [0, 2, 1] } });
  } else {
    const spatial = kernel.slice(2);
    const taps = spatial.reduce((a, b) => a * b, 1);
    const one = new Float32Array(groups * cols * cols);
    let shape: number[];
    if (site.kind === 'conv') {
      // [groups * cols, in / groups, ...]: output k of a group is input channel k / taps at tap k % taps.
      shape = [groups * cols, kernel[1]!, ...spatial];
      for (let g = 0; g < groups; g += 1) for (let k = 0; k < cols; k += 1) one[(g * cols + k) * cols + k] = 1;
    } else {
      // [in, cols, ...]: input channel c reaches output k = c' * taps + tap through that tap, c' being its place in the group.
      const per = kernel[0]! / groups;
      shape = [kernel[0]!, cols, ...spatial];
      for (let c = 0; c < kernel[0]!; c += 1) for (let tap = 0; tap < taps; tap += 1) one[(c * cols + (c % per) * taps + tap) * taps + tap] = 1;
    }
    emit(site.node.op, ['x', constant('pick', shape, one)], 'picked', site.node.attributes ?? {});
    // [batch, groups, cols, positions] -> [groups, cols, batch * positions]
    emit('Reshape', ['picked', whole('split', 0, groups, cols, -1)], 'apart');
    emit('Transpose', ['apart'], 'ordered', { perm: { ints: [1, 2, 0, 3] } });
    emit('Reshape', ['ordered', whole('joined', groups, cols, -1)], 'patches');
  }
  emit('Transpose', ['patches'], 'turned', { perm: { ints: [0, 2, 1] } });
  emit('MatMul', ['patches', 'turned'], 'moment');
  emit('ReduceSum', ['patches', whole('last', 2)], 'mean', { keepdims: { int: 0 } });
  const output = (name: string, shape: (number | string)[]): GraphValue => ({ name, type: 'F32', shape });
  const graph: Graph = {
    name: 'moments', opset: 17, inputs: [{ ...input, name: 'x', shape: input.shape.map((_, i) => `x${i}`) }],
    outputs: [output('moment', [groups, cols, cols]), output('mean', [groups, cols]), output('patches', [groups, cols, 'positions'])], nodes, initializers,
  };
  return { ...graph, initializers };
}
