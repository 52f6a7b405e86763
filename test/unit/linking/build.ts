/** Small trees and checkpoints by hand. */
import type { Checkpoint, DType, TensorInfo } from '../../../kernels/checkpoint/checkpoint';
import { DTYPE_BITS, elementCount } from '../../../kernels/checkpoint/checkpoint';
import type { ModuleNode, ModuleTree, ParameterNode, SourceSpan } from '../../../server/python/module-tree';

export const span: SourceSpan = { file: '/model.py', startLine: 4, startColumn: 8, endLine: 4, endColumn: 20 };

type Shape = readonly (number | null)[] | null;
export const parameter = (name: string, shape: Shape, extra: Partial<ParameterNode> = {}): ParameterNode =>
  ({ name, kind: 'parameter', shape, persistent: true, span, ...extra });
export const buffer = (name: string, shape: Shape, extra: Partial<ParameterNode> = {}): ParameterNode => parameter(name, shape, { kind: 'buffer', ...extra });

/** Children are given with paths relative to their parent; they are made absolute here. */
export function node(path: string, className: string, kind: ModuleNode['kind'], parameters: readonly ParameterNode[], children: readonly ModuleNode[] = [], extra: Partial<ModuleNode> = {}): ModuleNode {
  const prefixed = (child: ModuleNode): ModuleNode => ({
    ...child, path: path === '' ? child.path : `${path}.${child.path}`, children: child.children.map(prefixed),
  });
  return {
    path, className, qualifiedName: kind === 'torch' ? `torch.nn.${className}` : `model.${className}`, kind, args: {}, span,
    parameters, children: children.map(prefixed), ...extra,
  };
}
export const linear = (path: string, input: number | null, output: number | null, extra: Partial<ModuleNode> = {}): ModuleNode =>
  node(path, 'Linear', 'torch', [parameter('weight', [output, input]), parameter('bias', [output])], [], extra);
export const conv = (path: string, input: number, output: number, extra: Partial<ModuleNode> = {}): ModuleNode =>
  node(path, 'Conv2d', 'torch', [parameter('weight', [output, input, 3, 3])], [], extra);
export const batchNorm = (path: string, size: number): ModuleNode => node(path, 'BatchNorm2d', 'torch',
  [parameter('weight', [size]), parameter('bias', [size]), buffer('running_mean', [size]), buffer('running_var', [size]), buffer('num_batches_tracked', [])]);
export const embedding = (path: string, count: number, size: number): ModuleNode => node(path, 'Embedding', 'torch', [parameter('weight', [count, size])]);
export const tree = (...children: readonly ModuleNode[]): ModuleTree => treeOf(node('', 'Net', 'user', [], children));
export const treeOf = (root: ModuleNode): ModuleTree => ({ root, unknowns: [], assumptions: [], files: ['/model.py'] });

let nextOffset = 0;
export function tensor(name: string, shape: readonly number[], dtype: DType = 'F32', storage?: { offset: number; storage: string }): TensorInfo {
  const bytes = elementCount(shape) * DTYPE_BITS[dtype] / 8;
  const offset = storage?.offset ?? nextOffset;
  if (!storage) nextOffset += bytes;
  return { name, dtype, shape, bytes, data: { file: 0, offset, byteOrder: 'little', ...(storage ? { storage: storage.storage } : {}) } };
}
export const checkpointOf = (tensors: readonly TensorInfo[]): Checkpoint => ({
  format: 'safetensors', path: '/weights.safetensors', files: [{ path: '/weights.safetensors', identity: { device: 1, inode: 1, size: 1, mtimeMs: 1 } }],
  tensors, problems: [], imports: [], metadata: [],
});
/** `{ 'fc.weight': [2, 3] }` as a checkpoint of F32 tensors. */
export const checkpoint = (shapes: Readonly<Record<string, readonly number[]>>): Checkpoint =>
  checkpointOf(Object.entries(shapes).map(([name, shape]) => tensor(name, shape)));
