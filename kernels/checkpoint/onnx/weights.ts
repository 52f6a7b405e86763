/**
 * What the nodes of a model say about its weights: which dimension counts output channels, and which integer tensors are,
 * together with their scales, quantized weights. From names, shapes and attributes alone; no value is read.
 */
import { elementCount, type DerivedTensor, type JsonValue, type TensorInfo } from '../checkpoint';
import { SAVE_AGAIN, shown, type ProblemList } from '../problems';
import type { FoundTensor, NodeRecord, OnnxModel, Scope } from './model';

function lookUp(scope: Scope, name: string): FoundTensor | undefined {
  if (name === '') return undefined;
  for (let at: Scope | null = scope; at; at = at.parent) {
    const found = at.values.get(name);
    if (found) return found;
  }
  return undefined;
}

/**
 * The output channel dimension that a node's input has, or null when the node says nothing about it.
 * @param rank of the input, where it is known
 */
function axisAt(node: NodeRecord, input: number, rank: number): number | null {
  switch (node.op) {
    // A @ B: the weight is [in, out] on the right, [out, in] on the left.
    case 'MatMul': case 'FusedMatMul': case 'MatMulInteger': case 'MatMulIntegerToFloat': case 'DynamicQuantizeMatMul':
      return rank < 2 ? null : input === 1 ? (node.ints.get('transB') === 1 ? rank - 2 : rank - 1) : input === 0 ? rank - 2 : null;
    case 'QLinearMatMul': return rank < 2 ? null : input === 3 ? rank - 1 : input === 0 ? rank - 2 : null;
    case 'Gemm': case 'FusedGemm': return input === 1 ? (node.ints.get('transB') === 1 ? 0 : 1) : input === 0 ? (node.ints.get('transA') === 1 ? 1 : 0) : null;
    case 'QGemm': return input === 3 ? (node.ints.get('transB') === 1 ? 0 : 1) : null;
    case 'ConvTranspose': return input === 1 ? 1 : null;
    case 'Conv': case 'FusedConv': case 'ConvInteger': return input === 1 ? 0 : null;
    case 'QLinearConv': return input === 3 ? 0 : null;
    case 'LSTM': case 'GRU': case 'RNN': return input === 1 || input === 2 ? 1 : null;
    default: return null;
  }
}

/** Operators that hand a value on without moving its dimensions. */
const PASSING: ReadonlySet<string> = new Set(['Identity', 'Cast', 'DequantizeLinear']);
const MOST_STEPS = 8;

/** How values are used in each graph: name -> nodes that take it. */
class Uses {
  private readonly byScope = new Map<Scope, Map<string, { node: NodeRecord; input: number }[]>>();

  constructor(model: OnnxModel) {
    for (const scope of model.scopes) {
      if (scope.nodes.length === 0) continue;
      const uses = new Map<string, { node: NodeRecord; input: number }[]>();
      for (const node of scope.nodes) {
        for (const [input, name] of node.inputs.entries()) {
          if (name === '') continue;
          const list = uses.get(name);
          // One use tells; a value that is used everywhere is no weight.
          if (!list) uses.set(name, [{ node, input }]);
          else if (list.length < 4) list.push({ node, input });
        }
      }
      this.byScope.set(scope, uses);
    }
  }

  /** Follows a value through nodes that pass it on to one that tells its output dimension. */
  axis(scope: Scope, name: string, rank: number): number | null {
    let at = name;
    // Where each dimension of the value that was asked for stands now.
    let order = Array.from({ length: rank }, (_, i) => i);
    for (let step = 0; step < MOST_STEPS; step++) {
      const uses = this.byScope.get(scope)?.get(at) ?? [];
      for (const { node, input } of uses) {
        const axis = axisAt(node, input, rank);
        if (axis !== null) return order[axis] ?? null;
      }
      const on = uses.find(({ node, input }) => input === 0 && (PASSING.has(node.op) || (node.op === 'Transpose' && (node.perm === null || node.perm.length === rank))));
      if (!on) return null;
      if (on.node.op === 'Transpose') {
        const before = order;
        order = on.node.perm ? on.node.perm.map((from) => before[from] ?? 0) : [...before].reverse();
      }
      at = on.node.output;
    }
    return null;
  }
}

/** Output dimensions of the tensors whose use tells one. */
export function outputAxes(model: OnnxModel): Map<FoundTensor, number> {
  const uses = new Uses(model);
  const axes = new Map<FoundTensor, number>();
  for (const found of model.tensors) {
    const rank = found.sparse?.dims.length ?? found.tensor.dims.length;
    if (rank < 2 || rank > 64) continue;
    const axis = uses.axis(found.scope, found.name, rank);
    if (axis !== null) axes.set(found, axis);
  }
  // A weight of an outer graph that only an inner one uses.
  for (const scope of model.scopes) {
    if (!scope.parent) continue;
    for (const node of scope.nodes) {
      for (const [input, name] of node.inputs.entries()) {
        const found = scope.values.has(name) ? undefined : lookUp(scope, name);
        const axis = found && !axes.has(found) ? axisAt(node, input, found.tensor.dims.length) : null;
        if (found && axis !== null) axes.set(found, axis);
      }
    }
  }
  return axes;
}

interface Parts { readonly codes: TensorInfo; readonly scales: TensorInfo; readonly zeros: TensorInfo | null }
interface Found { readonly weight: Omit<DerivedTensor, 'data' | 'bytes' | 'replaces' | 'name'>; readonly parts: readonly TensorInfo[] }

/** Which inputs of a node are the codes, scales and zero points of a quantized weight, and along which axis its scales run. */
const QUANTIZED: ReadonlyMap<string, { codes: number; scales: number; zeros: number; how: string }> = new Map([
  ['DequantizeLinear', { codes: 0, scales: 1, zeros: 2, how: 'QDQ' }],
  ['QLinearConv', { codes: 3, scales: 4, zeros: 5, how: 'QLinearConv' }], ['QLinearMatMul', { codes: 3, scales: 4, zeros: 5, how: 'QLinearMatMul' }],
  ['QGemm', { codes: 3, scales: 4, zeros: 5, how: 'QGemm' }], ['DynamicQuantizeMatMul', { codes: 1, scales: 2, zeros: 3, how: 'DynamicQuantizeMatMul' }],
  ['MatMulIntegerToFloat', { codes: 1, scales: 3, zeros: 5, how: 'MatMulIntegerToFloat' }],
  // The scale is applied by a Mul further on; the quantizer of onnxruntime names it after the weight.
  ['MatMulInteger', { codes: 1, scales: -1, zeros: 3, how: 'MatMulInteger' }], ['ConvInteger', { codes: 1, scales: -1, zeros: 3, how: 'ConvInteger' }],
]);

const INTEGERS: ReadonlySet<string> = new Set(['I8', 'U8', 'I16', 'U16', 'I32', 'F8_E4M3', 'F8_E5M2', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'F4', 'F32']);
const SCALES: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16', 'F8_E8M0', 'F64']);

/** The quantized weights of all graphs, each in place of the tensors that it is stored as. */
export function quantizedWeights(model: OnnxModel, placed: ReadonlyMap<FoundTensor, TensorInfo>, problems: ProblemList): DerivedTensor[] {
  const uses = new Uses(model);
  const derived: DerivedTensor[] = [];
  const taken = new Set<TensorInfo>();
  const names = new Set<string>([...placed.values()].map(({ name }) => name));
  for (const scope of model.scopes) {
    for (const node of scope.nodes) {
      const input = (index: number): TensorInfo | null => {
        const found = index < 0 ? undefined : lookUp(scope, node.inputs[index] ?? '');
        return (found && placed.get(found)) ?? null;
      };
      const unfit = (codes: TensorInfo, why: string): void => {
        problems.add('questionable', `${shown(codes.name)} is used by ${node.op} as a quantized weight, but ${why}; it is shown as it is stored`, SAVE_AGAIN, { offset: node.at, tensor: codes.name });
      };
      const roles = QUANTIZED.get(node.op);
      let found: Found | null = null;
      if (roles) {
        const codes = input(roles.codes);
        if (!codes || taken.has(codes) || !INTEGERS.has(codes.dtype) || (codes.dtype === 'F32' && !codes.encoding)) continue;
        const scales = roles.scales >= 0 ? input(roles.scales) : namedScale(scope, node.inputs[roles.codes] ?? '', placed);
        if (!scales || !SCALES.has(scales.dtype)) continue;
        const zeros = input(roles.zeros);
        if ((node.inputs[roles.zeros] ?? '') !== '' && !zeros) continue;
        found = affine(node, { codes, scales, zeros }, roles.how, (why) => { unfit(codes, why); });
        const axis = found && uses.axis(scope, node.op === 'DequantizeLinear' ? node.output : node.inputs[roles.codes], codes.shape.length);
        if (found && axis !== null && axis > 0) found = { ...found, weight: { ...found.weight, outputAxis: axis } };
      } else if (node.op === 'MatMulNBits') found = nBits(node, input, unfit, { rows: node.ints.get('N'), cols: node.ints.get('K'), how: 'MatMulNBits', codes: 1, scales: 2, zeros: 3, groups: 4, bits: 4 });
      else if (node.op === 'MatMulBnb4') found = bnb4(node, input, unfit);
      else if (node.op === 'GatherBlockQuantized') found = gathered(node, input, unfit);
      if (!found) continue;
      const [codes] = found.parts;
      if (taken.has(codes) || found.parts.some((part) => !part.data)) continue;
      taken.add(codes);
      const name = modelName(codes.name, names);
      derived.push({ ...found.weight, name, bytes: found.parts.reduce((sum, part) => sum + part.bytes, 0), data: codes.data, replaces: found.parts.map((part) => part.name) });
    }
  }
  return derived;
}

/** The name without what quantizers put behind it, unless another tensor has that. */
function modelName(name: string, names: Set<string>): string {
  const plain = name.replace(/(?:_quantized|_quant|_(?:DQ_)?Q\d(?:G\d+)?|_Bnb4|_bnb4)$/, '').replace(/\.qweight$/, '.weight');
  if (plain === name || plain === '' || names.has(plain)) return name;
  names.add(plain);
  return plain;
}

function namedScale(scope: Scope, codes: string, placed: ReadonlyMap<FoundTensor, TensorInfo>): TensorInfo | null {
  const found = lookUp(scope, codes.replace(/_quantized$/, '_scale'));
  return found && found.name !== codes ? placed.get(found) ?? null : null;
}

const TYPES: ReadonlyMap<string, string> = new Map([['I8', 'int8'], ['U8', 'uint8'], ['I16', 'int16'], ['U16', 'uint16'], ['I32', 'int32'], ['F8_E4M3', 'fp8-e4m3'], ['F8_E5M2', 'fp8-e5m2'], ['F8_E4M3FNUZ', 'fp8-e4m3fnuz'], ['F8_E5M2FNUZ', 'fp8-e5m2fnuz'], ['F4', 'fp4-e2m1']]);
const typeName = (codes: TensorInfo): string => (codes.encoding ? codes.encoding.name.toLowerCase().replace('float4e2m1', 'fp4-e2m1') : TYPES.get(codes.dtype) ?? codes.dtype);

/** ONNX's TensorProto types that DequantizeLinear may be told to give. */
const OUTPUT_TYPES: ReadonlyMap<number, 'F32' | 'F16' | 'BF16'> = new Map([[1, 'F32'], [10, 'F16'], [16, 'BF16']]);

/** (code - zero point) x scale, with one scale for the tensor, for each index of an axis, or for each block along it. */
function affine(node: NodeRecord, { codes, scales, zeros }: Parts, how: string, unfit: (why: string) => void): Found | null {
  const { shape } = codes;
  const rank = shape.length;
  const declared = node.op === 'DequantizeLinear' ? node.ints.get('axis') ?? 1 : node.op === 'QLinearConv' || node.op === 'ConvInteger' ? 0 : node.op === 'QGemm' && node.ints.get('transB') === 1 ? 0 : rank - 1;
  const axis = declared < 0 ? declared + rank : declared;
  const block = node.op === 'DequantizeLinear' ? node.ints.get('block_size') ?? 0 : 0;
  const count = elementCount(scales.shape);
  let grain: string;
  let options: Record<string, JsonValue>;
  if (count === 1 && block === 0) {
    grain = 'tensor';
    options = { axis: -1, block: 0 };
  } else if (axis < 0 || axis >= rank) {
    unfit(`its axis ${declared} is not among its ${rank} dimensions`);
    return null;
  } else if (block > 0) {
    if (scales.shape.length !== rank || scales.shape.some((dim, i) => dim !== (i === axis ? Math.ceil(shape[i] / block) : shape[i]))) {
      unfit(`its scales [${scales.shape.join(', ')}] do not fit its shape [${shape.join(', ')}] in blocks of ${block}`);
      return null;
    }
    grain = `g${block}`;
    options = { axis, block };
  } else {
    if (count !== shape[axis] || scales.shape.filter((dim) => dim !== 1).length > 1) {
      unfit(`it has ${count} scales for ${shape[axis]} indices of its dimension ${axis}`);
      return null;
    }
    grain = 'channel';
    options = { axis, block: 0 };
  }
  if (zeros && elementCount(zeros.shape) !== count) {
    unfit(`it has ${elementCount(zeros.shape)} zero points for ${count} scales`);
    return null;
  }
  const dtype = OUTPUT_TYPES.get(node.ints.get('output_dtype') ?? 0) ?? (scales.dtype === 'F16' || scales.dtype === 'BF16' ? scales.dtype : 'F32');
  return {
    parts: [codes, scales, ...(zeros ? [zeros] : [])],
    weight: { dtype, shape, encoding: { layout: 'affine', name: `${typeName(codes)} ${grain} (${how})`, parts: { codes, scales, ...(zeros ? { zeros } : {}) }, options } },
  };
}

type Input = (index: number) => TensorInfo | null;
type Unfit = (codes: TensorInfo, why: string) => void;

/** Rows of codes of 1 to 8 bits in blocks, low bits first (com.microsoft MatMulNBits, GatherBlockQuantized of bytes). */
function nBits(node: NodeRecord, input: Input, unfit: Unfit, of: { rows: number | undefined; cols: number | undefined; how: string; codes: number; scales: number; zeros: number; groups: number; bits: number }): Found | null {
  const [codes, scales, zeros, groups] = [input(of.codes), input(of.scales), input(of.zeros), of.groups < 0 ? null : input(of.groups)];
  const { rows, cols } = of;
  const bits = node.ints.get('bits') ?? of.bits;
  const block = node.ints.get('block_size') ?? 0;
  if (!codes || !scales || codes.encoding || codes.dtype !== 'U8' || !SCALES.has(scales.dtype)) return null;
  const given = (index: number): boolean => index >= 0 && (node.inputs[index] ?? '') !== '';
  if ((given(of.zeros) && !zeros) || (given(of.groups) && !groups)) return null;
  const fail = (why: string): null => { unfit(codes, why); return null; };
  if (!whole(rows, 1) || !whole(cols, 1) || !whole(bits, 1) || bits > 8 || !whole(block, 1) || rows * cols > Number.MAX_SAFE_INTEGER) return fail('its sizes are impossible');
  const blocks = Math.ceil(cols / block);
  const blob = Math.ceil(block * bits / 8);
  const packed = Math.ceil(blocks * bits / 8);
  // Rows of an embedding hold whole columns; those of a matrix are filled up to whole blocks.
  const rowBytes = of.how === 'MatMulNBits' ? blocks * blob : Math.ceil(cols * bits / 8);
  if (elementCount(codes.shape) !== rows * rowBytes) return fail(`it has ${elementCount(codes.shape)} bytes of codes where ${rows} x ${cols} of ${bits} bits need ${rows * rowBytes}`);
  if (elementCount(scales.shape) !== rows * blocks) return fail(`it has ${elementCount(scales.shape)} scales where ${rows * blocks} are needed`);
  if (zeros && elementCount(zeros.shape) !== rows * (zeros.dtype === 'U8' ? packed : blocks)) return fail('its zero points do not fit its scales');
  if (zeros && zeros.dtype !== 'U8' && !SCALES.has(zeros.dtype)) return fail(`its zero points are ${zeros.dtype}`);
  if (groups && (groups.dtype !== 'I32' || elementCount(groups.shape) < cols)) return fail('its group indices do not fit its columns');
  return {
    parts: [codes, scales, ...(zeros ? [zeros] : []), ...(groups ? [groups] : [])],
    weight: {
      dtype: scales.dtype === 'F16' || scales.dtype === 'BF16' ? scales.dtype : 'F32', shape: [rows, cols],
      encoding: {
        layout: 'n-bits', name: `int${bits} g${block} (${of.how})`, format: `int${bits}-${zeros ? 'asym' : 'sym'}-g${block}`,
        parts: { codes, scales, ...(zeros ? { zeros } : {}), ...(groups ? { groups } : {}) }, options: { bits, block, rowBytes },
      },
    },
  };
}

function gathered(node: NodeRecord, input: Input, unfit: Unfit): Found | null {
  const codes = input(0);
  if (!codes || codes.shape.length !== 2) return null;
  const scales = input(2);
  const block = node.ints.get('block_size') ?? 128;
  const quantized = node.ints.get('quantize_axis') ?? 1;
  const gather = node.ints.get('gather_axis') ?? 0;
  const ints = new Map(node.ints).set('block_size', block).set('axis', quantized);
  if (codes.encoding && scales && SCALES.has(scales.dtype)) {
    const zeros = input(3);
    if ((node.inputs[3] ?? '') !== '' && !zeros) return null;
    return affine({ ...node, op: 'DequantizeLinear', ints }, { codes, scales, zeros }, 'GatherBlockQuantized', (why) => { unfit(codes, why); });
  }
  const bits = node.ints.get('bits') ?? 4;
  if (gather !== 0 || (quantized !== 1 && quantized !== -1) || !whole(bits, 1) || bits > 8) return null;
  return nBits({ ...node, ints }, input, unfit, { rows: codes.shape[0], cols: Math.floor(codes.shape[1] * 8 / bits), how: 'GatherBlockQuantized', codes: 0, scales: 2, zeros: 3, groups: -1, bits: 4 });
}

/** Blocks of the flattened weight with codes of a table of 16, the high half of a byte first (com.microsoft MatMulBnb4). */
function bnb4(node: NodeRecord, input: Input, unfit: Unfit): Found | null {
  const [codes, scales] = [input(1), input(2)];
  if (!codes || !scales || codes.encoding || codes.dtype !== 'U8' || !SCALES.has(scales.dtype)) return null;
  const [rows, cols, block, kind] = [node.ints.get('N'), node.ints.get('K'), node.ints.get('block_size'), node.ints.get('quant_type')];
  const fail = (why: string): null => { unfit(codes, why); return null; };
  if (!whole(rows, 1) || !whole(cols, 1) || !whole(block, 1) || rows * cols > Number.MAX_SAFE_INTEGER) return fail('its sizes are impossible');
  if (kind !== 0 && kind !== 1) return fail(`its type ${kind} is neither FP4 nor NF4`);
  if (elementCount(codes.shape) !== Math.ceil(rows * cols / 2)) return fail(`it has ${elementCount(codes.shape)} bytes of codes where ${Math.ceil(rows * cols / 2)} are needed`);
  if (elementCount(scales.shape) !== Math.ceil(rows * cols / block)) return fail(`it has ${elementCount(scales.shape)} scales where ${Math.ceil(rows * cols / block)} are needed`);
  const type = kind === 1 ? 'nf4' : 'fp4';
  return {
    parts: [codes, scales],
    weight: { dtype: scales.dtype === 'F16' || scales.dtype === 'BF16' ? scales.dtype : 'F32', shape: [rows, cols], encoding: { layout: 'onnx-bnb4', name: `${type} b${block} (MatMulBnb4)`, parts: { codes, scales }, options: { block, type } } },
  };
}

function whole(value: number | undefined, least: number): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= least;
}
