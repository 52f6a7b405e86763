/** Cuts what goes into a convolution into patches, as nodes of a graph. */
import type { Attribute, GraphInitializer, GraphNode } from '../graph/graph';
import type { LayerSite } from './sites';

/** Nodes and constants of a graph that is put together by hand. */
export class Parts {
  readonly nodes: GraphNode[] = [];
  readonly initializers: (GraphInitializer & { write(sink: (chunk: Uint8Array) => void): void })[] = [];

  emit(op: string, inputs: readonly string[], output: string, attributes: Readonly<Record<string, Attribute>> = {}): string {
    this.nodes.push({ op, inputs, outputs: [output], attributes, module: '' });
    return output;
  }
  constant(name: string, shape: readonly number[], values: Float32Array | BigInt64Array): string {
    if (!this.initializers.some((each) => each.name === name)) {
      this.initializers.push({ name, type: values instanceof Float32Array ? 'F32' : 'I64', shape, data: { values: [] }, write: (sink) => sink(new Uint8Array(values.buffer)) });
    }
    return name;
  }
  whole(name: string, ...values: number[]): string {
    return this.constant(name, [values.length], BigInt64Array.from(values, BigInt));
  }
}

export const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Where the patches of a convolution lie, per dimension. */
interface Geometry { readonly strides: readonly number[]; readonly dilations: readonly number[]; readonly begin: readonly number[]; readonly end: readonly number[]; readonly out: readonly number[] }

const list = ({ node }: LayerSite, name: string): readonly number[] | undefined => { const found = node.attributes?.[name]; return found && 'ints' in found ? found.ints : undefined; };
const text = ({ node }: LayerSite, name: string): string => { const found = node.attributes?.[name]; return found && 'text' in found ? found.text : 'NOTSET'; };

/** After the specification of ONNX Conv. */
export function geometryOf(site: LayerSite, input: readonly number[], kernel: readonly number[]): Geometry {
  const spatial = kernel.slice(2);
  const n = spatial.length;
  const strides = list(site, 'strides') ?? spatial.map(() => 1);
  const dilations = list(site, 'dilations') ?? spatial.map(() => 1);
  const size = input.slice(2);
  const reach = spatial.map((taps, i) => (taps - 1) * dilations[i]! + 1);
  const auto = text(site, 'auto_pad');
  let [begin, end] = [spatial.map(() => 0), spatial.map(() => 0)];
  const pads = list(site, 'pads');
  if (auto.startsWith('SAME')) {
    const total = size.map((length, i) => Math.max(0, (Math.ceil(length / strides[i]!) - 1) * strides[i]! + reach[i]! - length));
    const less = total.map((each) => Math.floor(each / 2));
    [begin, end] = auto === 'SAME_LOWER' ? [total.map((each, i) => each - less[i]!), less] : [less, total.map((each, i) => each - less[i]!)];
  } else if (pads && auto !== 'VALID') [begin, end] = [pads.slice(0, n), pads.slice(n)];
  const out = size.map((length, i) => Math.max(0, Math.floor((length + begin[i]! + end[i]! - reach[i]!) / strides[i]!) + 1));
  return { strides, dilations, begin, end, out };
}

/** Size of what a transposed convolution gives, after the specification of ONNX ConvTranspose. */
export function transposedSize(site: LayerSite, input: readonly number[], kernel: readonly number[]): number[] {
  const spatial = kernel.slice(2);
  const shape = list(site, 'output_shape');
  if (shape) return shape.slice(-spatial.length);
  const [strides, dilations, extra] = [list(site, 'strides'), list(site, 'dilations'), list(site, 'output_padding')];
  const pads = list(site, 'pads') ?? [];
  return spatial.map((taps, i) => (input[i + 2]! - 1) * (strides?.[i] ?? 1) + (extra?.[i] ?? 0) + (taps - 1) * (dilations?.[i] ?? 1) + 1 - (pads[i] ?? 0) - (pads[i + spatial.length] ?? 0));
}

/** Nodes from `from`, what goes into the site, to patches [groups, cols, positions] under the name `to`. A patch is flattened as the kernel is. */
export function cutPatches(parts: Parts, site: LayerSite, input: readonly number[], kernel: readonly number[], cols: number, groups: number, from: string, to: string): void {
  if (site.kind === 'linear') {
    parts.emit('Reshape', [from, parts.whole('flat', 1, -1, cols)], `${to}_rows`);
    parts.emit('Transpose', [`${to}_rows`], to, { perm: { ints: [0, 2, 1] } });
    return;
  }
  if (site.kind === 'conv') slicePatches(parts, geometryOf(site, input, kernel), kernel.slice(2), from, `${to}_cut`);
  else pickPatches(parts, site, kernel, cols, groups, from, `${to}_cut`);
  // [batch, groups, cols, positions] -> [groups, cols, batch * positions]
  parts.emit('Reshape', [`${to}_cut`, parts.whole('split', 0, groups, cols, -1)], `${to}_apart`);
  parts.emit('Transpose', [`${to}_apart`], `${to}_ordered`, { perm: { ints: [1, 2, 0, 3] } });
  parts.emit('Reshape', [`${to}_ordered`, parts.whole('joined', groups, cols, -1)], to);
}

/** One slice per tap, side by side: [batch, channels, taps, ...]. */
function slicePatches(parts: Parts, { strides, dilations, begin, end, out }: Geometry, spatial: readonly number[], from: string, to: string): void {
  const axes = spatial.map((_, i) => i + 2);
  const padded = [...begin, ...end].some((pad) => pad !== 0)
    ? parts.emit('Pad', [from, parts.whole('pads', 0, 0, ...begin, 0, 0, ...end)], `${to}_padded`) : from;
  const taps = product(spatial);
  const slices = Array.from({ length: taps }, (_, tap) => {
    let rest = tap;
    const at = spatial.map((_, i) => { const below = product(spatial.slice(i + 1)); const place = Math.floor(rest / below); rest %= below; return place; });
    const starts = at.map((place, i) => place * dilations[i]!);
    const ends = starts.map((start, i) => start + (out[i]! - 1) * strides[i]! + 1);
    const slice = parts.emit('Slice', [padded, parts.whole(`start${tap}`, ...starts), parts.whole(`end${tap}`, ...ends), parts.whole('axes', ...axes), parts.whole('steps', ...strides)], `${to}_${tap}`);
    return parts.emit('Unsqueeze', [slice, parts.whole('two', 2)], `${to}_${tap}_apart`);
  });
  parts.emit('Concat', slices, to, { axis: { int: 2 } });
}

/** A transposed convolution with a kernel of ones and zeros: input channel c reaches output c' * taps + tap through that tap, c' being its place in the group. */
function pickPatches(parts: Parts, site: LayerSite, kernel: readonly number[], cols: number, groups: number, from: string, to: string): void {
  const spatial = kernel.slice(2);
  const taps = product(spatial);
  const per = kernel[0]! / groups;
  const one = new Float32Array(kernel[0]! * cols * taps);
  for (let c = 0; c < kernel[0]!; c += 1) for (let tap = 0; tap < taps; tap += 1) one[(c * cols + (c % per) * taps + tap) * taps + tap] = 1;
  parts.emit('ConvTranspose', [from, parts.constant('pick', [kernel[0]!, cols, ...spatial], one)], to, site.node.attributes ?? {});
}
