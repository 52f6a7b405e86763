/** How an export stores quantized weights: every layout, the kind of file it is for, and what to say of it. */

interface LayoutEntry {
  readonly id: string;
  /** Kinds of files that have it. */
  readonly files: readonly ('safetensors' | 'onnx')[];
  readonly title: string;
  readonly detail: string;
}

/** In the order in which they are offered. */
export const EXPORT_LAYOUTS = [
  { id: 'dequantized', files: ['safetensors', 'onnx'], title: 'Dequantized', detail: 'Ordinary tensors of the stored dtype that hold the quantized values: loads wherever the original does.' },
  { id: 'compressed-tensors', files: ['safetensors'], title: 'compressed-tensors', detail: 'Packed integers with their scales, for runtimes that read that layout. Integer formats only.' },
  { id: 'gptq', files: ['safetensors'], title: 'GPTQ', detail: 'qweight, scales, qzeros and g_idx. One integer format of 2, 3, 4 or 8 bits for all linear layers.' },
  { id: 'awq', files: ['safetensors'], title: 'AWQ', detail: 'qweight, scales and qzeros of the GEMM version. One 4-bit integer format for all linear layers.' },
  { id: 'auto', files: ['onnx'], title: 'ONNX', detail: 'An ONNX model, each weight in the layout that fits it: MatMulNBits, else QDQ, else ordinary values.' },
  { id: 'qdq', files: ['onnx'], title: 'ONNX QDQ', detail: 'An ONNX model with DequantizeLinear before each weight. Integers and 8-bit floats, per tensor, channel or group.' },
  { id: 'matmulnbits', files: ['onnx'], title: 'ONNX MatMulNBits', detail: 'An ONNX model whose linear layers are MatMulNBits of onnxruntime. Integers of up to 8 bits in groups of 16 and more.' },
] as const satisfies readonly LayoutEntry[];

export type LayoutId = (typeof EXPORT_LAYOUTS)[number]['id'];
export type FileKind = LayoutEntry['files'][number];

/** What a file is, by its name. */
export const kindOfFile = (file: string): FileKind => (/\.onnx$/i.test(file) ? 'onnx' : 'safetensors');

export const layoutsOf = (kind: FileKind): LayoutId[] => EXPORT_LAYOUTS.filter(({ files }) => (files as readonly FileKind[]).includes(kind)).map(({ id }) => id);

/** The layout where none is named. */
export const defaultLayout = (kind: FileKind): LayoutId => (kind === 'onnx' ? 'auto' : 'dequantized');

/** Why a file of this name has no such layout; null when it has. */
export function layoutProblem(file: string, layout: LayoutId): string | null {
  const kind = kindOfFile(file);
  const known = layoutsOf(kind);
  if (known.includes(layout)) return null;
  const other = kind === 'onnx' ? 'name a file that ends in .safetensors' : 'name a file that ends in .onnx';
  return `${kind === 'onnx' ? 'an ONNX model' : 'a safetensors file'} has no layout "${layout}"; it has ${known.join(', ')}, or ${other}`;
}
