/** The parameters of operators that make channels of what comes out, or are applied to channels of what goes in. */
import type { Axes } from './axis-map';
import type { ChannelUse } from './channel-uses';
import type { GraphInitializer, GraphNode } from './graph';

export class ChannelParameters {
  constructor(
    private readonly initializers: ReadonlyMap<string, GraphInitializer>, private readonly made: ReadonlyMap<string, GraphNode>,
    private readonly moving: ReadonlySet<string>, private readonly shape: (name: string) => readonly (number | string)[],
  ) {}

  /** The weight that an operator applies to channels of its input. */
  taker(node: GraphNode, name: string, axes: Axes): ChannelUse | null {
    const { op, inputs } = node;
    if (inputs[0] !== name) return null;
    const weight = this.weightOf(inputs[1] ?? '');
    if (!weight) return null;
    const { initializer, turned } = weight;
    const rank = this.shape(name).length;
    if (op === 'MatMul' && initializer.shape.length === 2 && last(axes, rank)) return { initializer, axis: turned ? 1 : 0, groups: 1, role: 'takes' };
    if (op === 'Gemm' && last(axes, rank) && !flag(node, 'transA')) return { initializer, axis: turned !== flag(node, 'transB') ? 1 : 0, groups: 1, role: 'takes' };
    if (turned || axes.length !== 1 || axes[0] !== 1) return null;
    const groups = groupCount(node);
    if (op === 'Conv') return initializer.shape[1] === 1 && groups > 1 ? this.depthwise(node, initializer, 'takes') : { initializer, axis: 1, groups, role: 'takes' };
    return op === 'ConvTranspose' ? { initializer, axis: 0, groups: 1, role: 'takes' } : null;
  }
  /** One kernel for each channel: channels come in and go out along dimension 0. Several for each are several channels out. */
  private depthwise(node: GraphNode, initializer: GraphInitializer, role: 'takes' | 'makes'): ChannelUse | null {
    return role === 'makes' || initializer.shape[0] === groupCount(node) ? { initializer, axis: 0, groups: 1, role } : null;
  }

  /** The parameters of an operator that make channels of its output. */
  maker(node: GraphNode, name: string, axes: Axes): ChannelUse[] | null {
    const { op, inputs } = node;
    const rank = this.shape(name).length;
    const bias = (input: string | undefined): ChannelUse[] | null => {
      if (!input) return [];
      const initializer = this.initializers.get(input);
      return initializer?.shape.length === 1 ? [{ initializer, axis: 0, groups: 1, role: 'shifts' }] : null;
    };
    if (op === 'Gather') {
      const table = this.initializers.get(inputs[0] ?? '');
      return table?.shape.length === 2 && axisOf(node) === 0 && last(axes, rank) ? [{ initializer: table, axis: 1, groups: 1, role: 'makes' }] : null;
    }
    const weight = this.weightOf(inputs[1] ?? '');
    if (!weight || !this.moving.has(inputs[0]!)) return null;
    const { initializer, turned } = weight;
    if (op === 'MatMul' && initializer.shape.length === 2 && last(axes, rank)) return [{ initializer, axis: turned ? 0 : 1, groups: 1, role: 'makes' }];
    const biased = bias(inputs[2]);
    if (!biased) return null;
    if (op === 'Gemm' && last(axes, rank) && !flag(node, 'transA')) return [{ initializer, axis: turned !== flag(node, 'transB') ? 0 : 1, groups: 1, role: 'makes' }, ...biased];
    if (turned || axes.length !== 1 || axes[0] !== 1) return null;
    if (op === 'Conv') return [{ initializer, axis: 0, groups: 1, role: 'makes' }, ...biased];
    return op === 'ConvTranspose' ? [{ initializer, axis: 1, groups: groupCount(node), role: 'makes' }, ...biased] : null;
  }

  /** A tensor of the checkpoint behind operators that hand it on, and whether its two dimensions are swapped. */
  weightOf(name: string): { initializer: GraphInitializer; turned: boolean } | null {
    let turned = false;
    for (let at = name; ;) {
      const initializer = this.initializers.get(at);
      if (initializer) return 'checkpoint' in initializer.data ? { initializer, turned } : null;
      const node = this.made.get(at);
      if (!node || node.domain || (node.op !== 'Transpose' && node.op !== 'Identity') || (node.op === 'Transpose' && this.shape(at).length !== 2)) return null;
      if (node.op === 'Transpose') turned = !turned;
      at = node.inputs[0]!;
    }
  }
}

/** Do these dimensions count what the last dimension of a value of this rank counts, and nothing else? */
export const last = (axes: Axes, rank: number): boolean => axes.length === 1 && axes[0] === rank - 1;
const flag = ({ attributes }: GraphNode, name: string): boolean => { const found = attributes?.[name]; return found !== undefined && 'int' in found && found.int !== 0; };
function groupCount({ attributes }: GraphNode): number { const group = attributes?.group; return group && 'int' in group ? group.int : 1; }
function axisOf({ attributes }: GraphNode): number { const axis = attributes?.axis; return axis && 'int' in axis ? axis.int : 0; }
