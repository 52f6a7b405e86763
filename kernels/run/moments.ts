/**
 * Second moments and means of what a weight is applied to, accumulated over batches. Products are float32 within a batch (of
 * onnxruntime) and float64 between batches.
 * For convolutions an input is a patch (patches.ts).
 */
import type { WeightLayout } from '../formats/blocks';
import type { GraphValue } from '../graph/graph';
import type { InputGroup, LayerInputs } from '../methods/method';
import { cutPatches, geometryOf, Parts, product, transposedSize } from './patches';
import { startModel, type NamedArray, type RunningModel } from './run-model';
import type { LayerSite } from './sites';

/** Accumulates the inputs of one weight over batches and sites. */
export class MomentSums {
  private readonly moments: Float64Array[];
  private readonly means: Float64Array[];
  /** Of unquantized inputs with these, where there are any: sums of (x - x') x'^T. */
  private readonly drifts: Float64Array[] | null;
  private positions = 0;

  /** @param groups runs of output channels that see different inputs. */
  constructor(private readonly layout: Pick<WeightLayout, 'rows' | 'cols'>, readonly groups: number, drift = false) {
    this.drifts = drift ? Array.from({ length: groups }, () => new Float64Array(layout.cols * layout.cols)) : null;
    this.moments = Array.from({ length: groups }, () => new Float64Array(layout.cols * layout.cols));
    this.means = Array.from({ length: groups }, () => new Float64Array(layout.cols));
  }

  add({ moment, mean, positions, drift }: BatchSums): void {
    const { cols } = this.layout;
    this.drifts?.forEach((sum, g) => { for (let i = 0, at = g * cols * cols; i < sum.length; i += 1) sum[i]! += drift![at + i]!; });
    this.moments.forEach((sum, g) => { for (let i = 0, at = g * cols * cols; i < sum.length; i += 1) sum[i]! += moment[at + i]!; });
    this.means.forEach((sum, g) => { for (let i = 0, at = g * cols; i < cols; i += 1) sum[i]! += mean[at + i]!; });
    this.positions += positions;
  }

  /** E[(x - x') x'^T] for each group, [cols, cols]. */
  drift(): Float64Array[] | null {
    return this.drifts?.map((sum) => sum.map((value) => value / Math.max(1, this.positions))) ?? null;
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

export interface BatchSums { readonly moment: Float32Array; readonly mean: Float32Array; readonly positions: number; readonly drift?: Float32Array }
/** Gives the sums of batches of what goes into a site and, with drift, of what would go in without quantization. */
export class MomentModel {
  private readonly running = new Map<string, RunningModel>();
  private readonly groups: number;

  /**
   * @param kernel shape of the weight as the operator takes it: [out, in / groups, ...] or, transposed, [in, out / groups, ...]
   * @throws Error for a lookup, which multiplies nothing.
   */
  constructor(private readonly site: LayerSite, private readonly kernel: readonly number[], private readonly cols: number, private readonly threads: number, private readonly drift = false) {
    if (site.kind === 'lookup') throw new Error('a lookup multiplies nothing');
    this.groups = groupsOf(site);
  }

  /** Input vectors that a batch of this shape holds. */
  positionsOf(shape: readonly number[]): number {
    if (this.site.kind === 'linear') return product(shape) / this.cols;
    return shape[0]! * product(this.site.kind === 'conv' ? geometryOf(this.site, shape, this.kernel).out : transposedSize(this.site, shape, this.kernel));
  }

  /** @param keep positions that are looked at, ascending; all when absent */
  async sums(array: NamedArray, clean?: NamedArray, keep?: readonly number[]): Promise<BatchSums> {
    const key = `${array.shape.slice(2).join('x')} ${keep ? 'some' : 'all'}`;
    let model = this.running.get(key);
    if (!model) this.running.set(key, model = await startModel(this.graph(array, keep !== undefined), this.threads));
    const out = await model.run(new Map<string, NamedArray>([
      ['x', array], ...(this.drift ? [['c', clean!] as const] : []), ...(keep ? [['keep', { type: 'I64', shape: [keep.length], data: BigInt64Array.from(keep, BigInt) } as const] as const] : []),
    ]));
    return { ...(this.drift ? { drift: out.get('drift')!.data as Float32Array } : {}), moment: out.get('moment')!.data as Float32Array, mean: out.get('mean')!.data as Float32Array, positions: keep ? keep.length : this.positionsOf(array.shape) };
  }

  async close(): Promise<void> {
    for (const model of this.running.values()) await model.close();
    this.running.clear();
  }

  private graph(array: NamedArray, some: boolean): Parameters<typeof startModel>[0] {
    const { cols, groups, drift } = this;
    const parts = new Parts();
    const patches = (from: string, to: string): void => {
      if (!some) { cutPatches(parts, this.site, array.shape, this.kernel, cols, groups, from, to); return; }
      cutPatches(parts, this.site, array.shape, this.kernel, cols, groups, from, `${to}_all`);
      parts.emit('Gather', [`${to}_all`, 'keep'], to, { axis: { int: 2 } });
    };
    patches('x', 'patches');
    parts.emit('Transpose', ['patches'], 'turned', { perm: { ints: [0, 2, 1] } });
    parts.emit('MatMul', ['patches', 'turned'], 'moment');
    parts.emit('ReduceSum', ['patches', parts.whole('last', 2)], 'mean', { keepdims: { int: 0 } });
    if (drift) {
      patches('c', 'clean');
      parts.emit('Sub', ['clean', 'patches'], 'moved');
      parts.emit('MatMul', ['moved', 'turned'], 'drift');
    }
    const value = (name: string, shape: (number | string)[], type: 'F32' | 'I64' = 'F32'): GraphValue => ({ name, type, shape });
    const like = array.shape.map((_, i) => `x${i}`);
    return {
      name: 'moments', opset: 17, nodes: parts.nodes, initializers: parts.initializers,
      inputs: [value('x', like), ...(drift ? [value('c', like)] : []), ...(some ? [value('keep', ['kept'], 'I64')] : [])],
      outputs: [value('moment', [groups, cols, cols]), value('mean', [groups, cols]), ...(drift ? [value('drift', [groups, cols, cols])] : [])],
    };
  }
}
