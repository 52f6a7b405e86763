/** The kernels of this thread: one WebAssembly instance per worker, with its own memory, made on first use. */
import type { KernelOps } from './ops';
import { wasmOps } from './wasm-ops';

let instance: Promise<KernelOps> | undefined;

/** @throws Error naming the build command when kernels.wasm is not beside the program. */
export function kernelOps(): Promise<KernelOps> {
  instance ??= wasmOps();
  return instance;
}
