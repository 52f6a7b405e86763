/** The kernels of this thread: WebAssembly, else the reference. One instance per worker, with its own memory. */
import { referenceOps, type KernelOps } from './ops';

let instance: Promise<KernelOps> | undefined;

export function kernelOps(): Promise<KernelOps> {
  instance ??= Promise.resolve(referenceOps());
  return instance;
}
