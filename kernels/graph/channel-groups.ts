/**
 * Where a factor per channel can be moved from the weights that make a value to the weights it is multiplied with, leaving what the
 * model computes as it is: f(x / s) = f(x) / s for the operators between. Read off the graph, whatever the architecture.
 */
import { reshapedAxes, transposedAxes, untransposedAxes, type Axes } from './axis-map';
import { ChannelParameters, last } from './channel-parameters';
import { tensorOf, type ChannelUse } from './channel-uses';
import { movingValues, producers, readsOf, valueTypes } from './cut';
import type { Graph, GraphInitializer, GraphNode } from './graph';

export interface ChannelGroup {
  readonly channels: number;
  /** Values whose channels are divided by the factors. */
  readonly values: ReadonlySet<string>;
  /** Parameters that are divided by the factors, and those that are multiplied with them; squares where the role is `variance`. */
  readonly before: readonly ChannelUse[];
  readonly after: readonly ChannelUse[];
}
export interface GroupOptions {
  /** Factors go through a batch norm, to the convolution before it, rather than into its scale and shift. */
  readonly throughBatchNorm?: boolean;
}

/** f(x / s) = f(x) / s for s > 0, element by element or within a channel. */
const HOMOGENEOUS = new Set(['Relu', 'LeakyRelu', 'Identity', 'Dropout', 'Neg', 'Abs']);
const POOLING = new Set(['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'LpPool', 'Resize', 'Upsample', 'DepthToSpace']);
/** Ways tried where a factor may go to either side of a product. */
const MOST_WAYS = 16;

export class ChannelGroups {
  private readonly made: Map<string, GraphNode>;
  private readonly moving: Set<string>;
  private readonly users = new Map<string, GraphNode[]>();
  private readonly outputs: Set<string>;
  private readonly initializers: ReadonlyMap<string, GraphInitializer>;
  private readonly typeOf: ReturnType<typeof valueTypes>;
  private readonly parameters: ChannelParameters;

  constructor(private readonly graph: Graph, private readonly options: GroupOptions = {}) {
    this.made = producers(graph);
    this.moving = movingValues(graph);
    this.typeOf = valueTypes(graph);
    this.outputs = new Set(graph.outputs.map(({ name }) => name));
    this.initializers = new Map(graph.initializers.map((each) => [each.name, each]));
    this.parameters = new ChannelParameters(this.initializers, this.made, this.moving, (name) => this.shape(name));
    for (const node of graph.nodes) for (const read of new Set(readsOf(node))) this.users.set(read, [...(this.users.get(read) ?? []), node]);
  }

  /** The group of the channels along one dimension of a value; null where a factor cannot be moved exactly. */
  of(value: string, axis: number): ChannelGroup | null {
    const channels = this.dim(value, axis);
    if (typeof channels !== 'number' || channels < 1) return null;
    let ways = 0;
    const solve = (members: ReadonlyMap<string, Axes>): ChannelGroup | null => {
      ways += 1;
      const closed = this.close(members);
      if (!closed) return null;
      const open = [...closed.keys()].find((name) => this.undecided(name, closed));
      if (open === undefined) return this.assemble(closed, channels);
      for (const side of [1, 0]) {
        if (ways > MOST_WAYS) return null;
        const operand = this.made.get(open)!.inputs[side]!;
        const axes = this.aligned(open, operand, closed.get(open)!);
        const found = axes && solve(new Map([...closed, [operand, axes]]));
        if (found) return found;
      }
      return null;
    };
    return solve(new Map([[value, [axis]]]));
  }

  private shape(name: string): readonly (number | string)[] { return this.typeOf(name).shape; }
  private dim(name: string, axis: number): number | string | undefined { try { return this.shape(name)[axis]; } catch { return undefined; } }

  /** A product of two values, one of which must be divided: either will do. */
  private undecided(name: string, members: ReadonlyMap<string, Axes>): boolean {
    const node = this.made.get(name);
    return node?.op === 'Mul' && node.inputs.every((input) => this.moving.has(input)) && !node.inputs.some((input) => members.has(input));
  }

  /** All values that follow from these; null where one of them cannot be divided. */
  private close(start: ReadonlyMap<string, Axes>): Map<string, Axes> | null {
    const members = new Map(start);
    const pending = [...members.keys()];
    const join = (name: string, axes: Axes | null): boolean => {
      if (!axes || axes.length === 0) return false;
      const known = members.get(name);
      if (known) return known.join() === axes.join();
      members.set(name, axes);
      pending.push(name);
      return true;
    };
    try {
      while (pending.length > 0) {
        const name = pending.pop()!;
        const axes = members.get(name)!;
        if (this.outputs.has(name) || this.typeOf(name).type !== 'F32') return null;
        const maker = this.made.get(name);
        if (!maker || !this.backward(maker, name, axes, join)) return null;
        for (const user of this.users.get(name) ?? []) if (!this.forward(user, name, axes, join)) return null;
      }
    } catch { return null; } // A value whose shape nobody knows.
    return members;
  }

  /** The same dimensions of an operand of an elementwise operator, which may have fewer. */
  private aligned(output: string, operand: string, axes: Axes): Axes | null {
    const [own, wanted] = [this.shape(operand), this.shape(output)];
    const shifted = axes.map((axis) => axis - wanted.length + own.length);
    return shifted.every((axis, i) => axis >= 0 && own[axis] === wanted[axes[i]!]) ? shifted : null;
  }
  /** How a parameter of an elementwise operator meets the channels: one number for all of them, one for each, or otherwise. */
  private parameter(output: string, name: string, axes: Axes): 'one' | 'each' | null {
    const [own, wanted] = [this.shape(name), this.shape(output)];
    const sizes = axes.map((axis) => own[axis - wanted.length + own.length] ?? 1);
    if (sizes.every((size) => size === 1)) return 'one';
    return axes.length === 1 && sizes[0] === wanted[axes[0]!] && this.initializers.has(name) ? 'each' : null;
  }

  private forward(node: GraphNode, name: string, axes: Axes, join: (name: string, axes: Axes | null) => boolean): boolean {
    const { op, inputs, outputs } = node;
    const [first = ''] = inputs;
    const output = outputs[0]!;
    if (op === 'Shape' || op === 'Size') return true;
    if (node.domain || node.captures) return false;
    if (HOMOGENEOUS.has(op)) return join(output, axes);
    if (op === 'PRelu' && name === first) return join(output, axes);
    if (POOLING.has(op)) return name === first && op !== 'DepthToSpace' && axes.length === 1 && axes[0] === 1 && outputs.length === 1 && join(output, axes);
    if (op === 'Transpose') return join(output, transposedAxes(node, this.shape(name).length, axes));
    if (op === 'Reshape' || op === 'Flatten' || op === 'Squeeze' || op === 'Unsqueeze') return name === first && join(output, reshapedAxes(this.shape(name), this.shape(output), axes));
    if (op === 'Pad') return name === first && this.padsWithZero(node) && this.keeps(name, output, axes) && join(output, axes);
    if (op === 'Slice') return name === first && this.keeps(name, output, axes) && join(output, axes);
    if (op === 'Concat') return this.keeps(name, output, axes) && join(output, axes);
    if (op === 'ReduceMean' || op === 'ReduceSum' || op === 'ReduceMax') return name === first && this.shape(name).length === this.shape(output).length && this.keeps(name, output, axes) && join(output, axes);
    if (op === 'Add' || op === 'Sub') {
      if (inputs.every((input) => this.moving.has(input))) return join(output, this.lifted(name, output, axes));
      const other = inputs.find((input) => input !== name)!;
      const out = this.lifted(name, output, axes);
      return out !== null && this.parameter(output, other, out) === 'each' && join(output, out);
    }
    if (op === 'Mul' || (op === 'Div' && name === first)) {
      const other = inputs.find((input) => input !== name);
      if (other === undefined) return false; // A square.
      return join(output, this.lifted(name, output, axes));
    }
    if (op === 'BatchNormalization') return axes.length === 1 && axes[0] === 1 && (this.options.throughBatchNorm ? join(output, axes) : true);
    return this.parameters.taker(node, name, axes) !== null || (op === 'MatMul' && name === inputs[1] && this.moving.has(first) && last(axes, this.shape(name).length) && join(output, [this.shape(output).length - 1]));
  }

  /** Dimensions of an operand in the result, which may have more. */
  private lifted(operand: string, output: string, axes: Axes): Axes | null {
    const [own, made] = [this.shape(operand), this.shape(output)];
    const out = axes.map((axis) => axis + made.length - own.length);
    return out.every((axis, i) => made[axis] === own[axes[i]!]) ? out : null;
  }
  private keeps(from: string, to: string, axes: Axes): boolean {
    const [a, b] = [this.shape(from), this.shape(to)];
    return a.length === b.length && axes.every((axis) => a[axis] === b[axis] && typeof a[axis] === 'number');
  }
  private padsWithZero({ inputs, attributes }: GraphNode): boolean {
    const mode = attributes?.mode;
    if (mode && 'text' in mode && mode.text !== 'constant') return true;
    const value = inputs[2] ? this.initializers.get(inputs[2])?.data : undefined;
    return !inputs[2] || (value !== undefined && 'values' in value && value.values.every((each) => each === 0));
  }

  private backward(node: GraphNode, name: string, axes: Axes, join: (name: string, axes: Axes | null) => boolean): boolean {
    const { op, inputs, outputs } = node;
    const [first = '', second = ''] = inputs;
    if (node.domain || node.captures || outputs.filter((each) => each !== '').length > 1) return false;
    if (HOMOGENEOUS.has(op) || op === 'PRelu') return join(first, axes);
    if (POOLING.has(op)) return op !== 'DepthToSpace' && axes.length === 1 && axes[0] === 1 && join(first, axes);
    if (op === 'Transpose') return join(first, untransposedAxes(node, this.shape(first).length, axes));
    if (op === 'Reshape' || op === 'Flatten' || op === 'Squeeze' || op === 'Unsqueeze') return join(first, reshapedAxes(this.shape(name), this.shape(first), axes));
    if (op === 'Pad') return this.padsWithZero(node) && this.keeps(first, name, axes) && join(first, axes);
    if (op === 'Slice') return this.keeps(first, name, axes) && join(first, axes);
    if (op === 'Concat') return inputs.every((input) => this.moving.has(input) && this.keeps(input, name, axes) && join(input, axes));
    if (op === 'ReduceMean' || op === 'ReduceSum' || op === 'ReduceMax') return this.shape(name).length === this.shape(first).length && this.keeps(first, name, axes) && join(first, axes);
    if (op === 'Add' || op === 'Sub') return inputs.every((input) => (this.moving.has(input) ? join(input, this.aligned(name, input, axes)) : this.parameter(name, input, axes) === 'each'));
    if (op === 'Mul' || op === 'Div') {
      if (op === 'Div' && this.moving.has(second)) return !this.dependsOnChannels(second, name, axes) && join(first, this.aligned(name, first, axes));
      const parameter = inputs.find((input) => !this.moving.has(input));
      if (parameter === undefined) return inputs[0] !== inputs[1]; // Decided later which side is divided.
      const operand = inputs.find((input) => input !== parameter)!;
      const kind = this.parameter(name, parameter, axes);
      // A number for each channel takes the factor itself: what comes before it stays as it is.
      if (kind === 'each' && op === 'Mul' && 'checkpoint' in this.initializers.get(parameter)!.data) return true;
      return kind !== null && join(operand, this.aligned(name, operand, axes));
    }
    if (op === 'BatchNormalization') return axes.length === 1 && axes[0] === 1 && (this.options.throughBatchNorm ? join(first, axes) : true);
    if (op === 'LayerNormalization' || op === 'RMSNormalization') return last(axes, this.shape(name).length) && inputs[1] !== undefined && this.shape(inputs[1]).length === 1;
    if (op === 'MatMul' && this.moving.has(first) && this.moving.has(second)) return last(axes, this.shape(name).length) && join(second, [this.shape(second).length - 1]);
    return this.parameters.maker(node, name, axes) !== null;
  }
  private dependsOnChannels(divisor: string, output: string, axes: Axes): boolean { return this.parameter(output, divisor, axes) !== 'one'; }

  /** The parameters on both sides of the members; null where one of them is also used elsewhere, or is no float32 tensor of the checkpoint. */
  private assemble(members: ReadonlyMap<string, Axes>, channels: number): ChannelGroup | null {
    const before: ChannelUse[] = [];
    const after: ChannelUse[] = [];
    const one = (name: string, role: ChannelUse['role']): ChannelUse => { const initializer = this.initializers.get(name)!; return { initializer, axis: Math.max(0, initializer.shape.findIndex((size) => size === channels)), groups: 1, role }; };
    for (const node of this.graph.nodes) {
      const { op, inputs, outputs } = node;
      const moving = inputs.filter((input) => this.moving.has(input));
      const [output = ''] = outputs;
      const taken = moving.filter((input) => members.has(input));
      const gives = members.has(output);
      if (taken.length === 0 && !gives) continue;
      if (op === 'BatchNormalization') {
        const parameters = inputs.slice(1).map((input) => this.initializers.get(input));
        if (parameters.some((each) => !each)) return null;
        if (this.options.throughBatchNorm) before.push(one(inputs[2]!, 'shifts'), one(inputs[3]!, 'mean'));
        else {
          if (taken.length > 0) before.push(one(inputs[3]!, 'mean'), { ...one(inputs[4]!, 'variance'), epsilon: epsilonOf(node) });
          if (gives) before.push(one(inputs[1]!, 'scales'), one(inputs[2]!, 'shifts'));
        }
      } else if ((op === 'LayerNormalization' || op === 'RMSNormalization') && gives) {
        if (inputs.slice(1).some((input) => input && !this.initializers.has(input))) return null;
        before.push(one(inputs[1]!, 'scales'), ...(inputs[2] ? [one(inputs[2], 'shifts')] : []));
      } else if (op === 'Mul' && gives && taken.length === 0) before.push(one(inputs.find((input) => !this.moving.has(input))!, 'scales'));
      else if (op === 'Mul' && taken.length > 1) return null;
      else if ((op === 'Add' || op === 'Sub') && gives && moving.length === 1) before.push(one(inputs.find((input) => !this.moving.has(input))!, 'shifts'));
      else {
        const takes = taken.length > 0 && !gives ? this.parameters.taker(node, taken[0]!, members.get(taken[0]!)!) : null;
        if (takes) after.push(takes);
        if (gives && taken.length === 0) {
          const makes = this.parameters.maker(node, output, members.get(output)!);
          if (!makes) return null;
          before.push(...makes);
        } else if (gives && this.parameters.weightOf(inputs[1] ?? '') && (op === 'Conv' || op === 'Gemm' || op === 'MatMul' || op === 'ConvTranspose')) {
          // Channels of one group come in and go out: the weight is both.
          const [makes, also] = [this.parameters.maker(node, output, members.get(output)!), this.parameters.taker(node, taken[0]!, members.get(taken[0]!)!)];
          if (!makes || !also) return null;
          before.push(...makes);
          after.push(also);
        }
      }
    }
    const uses = [...before, ...after];
    if (after.length === 0 || before.length === 0 || !uses.every((use) => this.isOwn(use, uses))) return null;
    return { channels, values: new Set(members.keys()), before, after };
  }

  /** A float32 tensor of the checkpoint that nothing but the operators of this group reads. */
  private isOwn(use: ChannelUse, uses: readonly ChannelUse[]): boolean {
    const tensor = tensorOf(use);
    if (tensor === null || use.initializer.type !== 'F32') return false;
    const named = this.graph.initializers.filter(({ data }) => 'checkpoint' in data && data.checkpoint === tensor);
    if (named.length !== 1) return false;
    const [before, after] = (['makes', 'takes'] as const).map((role) => uses.filter((each) => tensorOf(each) === tensor && each.role === role).length);
    const others = uses.filter((each) => tensorOf(each) === tensor && each.role !== 'makes' && each.role !== 'takes').length;
    return this.readers(use.initializer.name) === Math.max(before!, after!, others) && (before! <= 1 && after! <= 1 && others <= 1);
  }
  /** Operators that read a parameter, also through those that hand it on. */
  private readers(name: string): number {
    return (this.users.get(name) ?? []).reduce((sum, node) => sum + (node.op === 'Identity' || node.op === 'Transpose' ? this.readers(node.outputs[0]!) : 1), 0) + (this.outputs.has(name) ? 1 : 0);
  }
}

/** What a batch norm adds to its variance: 1e-5 unless it says otherwise. */
function epsilonOf({ attributes }: GraphNode): number { const epsilon = attributes?.epsilon; return epsilon && 'float' in epsilon ? Math.fround(epsilon.float) : Math.fround(1e-5); }
