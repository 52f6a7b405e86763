import { Insertion } from '../../graph/insert';
import type { GraphEmitter } from '../../graph/emitter';
import { Random } from '../../numerics/random';
import { sitesOf } from '../../run/sites';
import { toMatrix, toStored } from '../../run/weight-matrix';
import type { Transform } from '../method';

const SEED = 0;
/** Side of a factor: larger Hadamard matrices are Kronecker products of two. */
const MOST_SIDE = 64;

/** Turns runs of `size` columns by D H / sqrt(size), D random signs and H the Hadamard matrix of Sylvester; and back. */
export class BlockRotation {
  readonly size: number;
  private readonly signs: Float32Array;

  /** @param cols columns; the largest power of two that divides them is the size of a block */
  constructor(private readonly cols: number) {
    let size = 1;
    while (cols % (size * 2) === 0 && size < MOST_SIDE * MOST_SIDE) size *= 2;
    this.size = size;
    const random = new Random(SEED + cols);
    this.signs = Float32Array.from({ length: cols }, () => (random.uniform() < 0.5 ? -1 : 1));
  }

  /** Each row, turned. @param back the other way */
  turn(matrix: Float32Array, back: boolean): Float32Array {
    const out = Float64Array.from(matrix);
    const { size, cols, signs } = this;
    const norm = 1 / Math.sqrt(size);
    if (!back) for (let i = 0; i < out.length; i += 1) out[i]! *= signs[i % cols]!;
    for (let start = 0; start < out.length; start += size) {
      for (let half = 1; half < size; half *= 2) {
        for (let i = start; i < start + size; i += 2 * half) {
          for (let k = i; k < i + half; k += 1) { const [a, b] = [out[k]!, out[k + half]!]; out[k] = a + b; out[k + half] = a - b; }
        }
      }
    }
    for (let i = 0; i < out.length; i += 1) out[i]! *= back ? norm * signs[i % cols]! : norm;
    return Float32Array.from(out);
  }

  /** The same as operators, on the last dimension of a value. */
  emit(e: GraphEmitter, value: string): string {
    const { size, cols } = this;
    const rank = e.rank(value);
    const keep = Array<number>(rank - 1).fill(0);
    const right = Math.min(size, MOST_SIDE);
    const left = size / right;
    const signed = e.mul(value, e.constant('F32', [cols], [...this.signs]));
    const split = e.reshape(signed, [...keep, cols / size, left, right]);
    const like = { type: 'F32' as const, shape: e.shape(split) };
    const matrix = (side: number): string => e.constant('F32', [side, side], hadamardMatrix(side));
    const turned = e.emit('MatMul', [split, matrix(right)], {}, like);
    const both = left > 1 ? e.emit('MatMul', [matrix(left), turned], {}, like) : turned;
    return e.reshape(e.times(both, 1 / Math.sqrt(size)), [...keep, cols]);
  }
}

function hadamardMatrix(side: number): number[] {
  const ones = (x: number): number => { let count = 0; for (let at = x; at > 0; at >>= 1) count += at & 1; return count; };
  return Array.from({ length: side * side }, (_, i) => (ones(Math.floor(i / side) & (i % side)) % 2 === 0 ? 1 : -1));
}

export const hadamard: Transform = {
  id: 'hadamard',
  kind: 'transform',
  turnsInputs: true,
  title: 'Hadamard rotation: inputs and weights of dense layers turned, so that no channel stands out',
  source: 'Ashkboos et al., QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs, 2024 (online rotations); Chee et al., QuIP: 2-Bit Quantization of Large Language Models With Guarantees, 2023 (incoherence by random signs)',
  needs: 'graph',
  catalogue: [],
  parameters: {},
  async run({ model, layers, step }) {
    const { graph } = model;
    const insertion = new Insertion(graph, 'turned');
    const turned = layers.flatMap((layer) => {
      const sites = sitesOf(graph, layer.tensor);
      const [site] = sites;
      const rotation = new BlockRotation(layer.layout.cols);
      return sites.length === 1 && site!.kind === 'linear' && layer.shape.length === 2 && layer.shape[site!.outputAxis ?? -1] === layer.layout.rows && rotation.size > 1 ? [{ layer, site: site!, rotation }] : [];
    }).sort((a, b) => a.site.at - b.site.at);
    const changed = new Map<string, Float32Array>();
    const back = new Map<string, (matrix: Float32Array) => Float32Array>();
    for (const [i, { layer: { tensor, layout }, site, rotation }] of turned.entries()) {
      step(i / turned.length);
      insertion.replaceInput(site.node, 0, (value) => rotation.emit(insertion.emitter, value));
      changed.set(tensor, toStored(rotation.turn(toMatrix(model.values(tensor), layout), false), layout));
      back.set(tensor, (matrix) => rotation.turn(matrix, true));
    }
    const notes = turned.length < layers.length ? [`${layers.length - turned.length} layers are not turned: rotations are for matrices that are applied in one place and have an even number of inputs`] : [];
    return { ...(turned.length > 0 ? { graph: insertion.finish() } : {}), changed, back, places: turned.length, of: layers.length, notes: turned.length > 0 ? [...notes, 'inputs are turned while the model runs, which takes time of its own'] : notes };
  },
};
