/**
 * onnxruntime-node, loaded when the first graph runs. It is not part of every installation: without it everything that
 * needs only code and weights works, and what needs the model to run says so.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { JobError } from '../jobs/job';

/** The part of onnxruntime-node's interface that is used here. */
export interface RuntimeTensor { readonly type: string; readonly data: ArrayBufferView | readonly string[]; readonly dims: readonly number[]; dispose?(): void }
export interface RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** A shape has the names of free dimensions; it is empty where the rank is not known. */
  readonly outputMetadata: readonly ({ readonly name: string; readonly isTensor: true; readonly type: string; readonly shape: readonly (number | string)[] } | { readonly name: string; readonly isTensor: false })[];
  run(feeds: Record<string, RuntimeTensor>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}
export interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array | string, options?: object): Promise<RuntimeSession> };
  listSupportedBackends(): readonly { readonly name: string; readonly bundled: boolean }[];
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => RuntimeTensor;
}

let loaded: Runtime | null = null;

/**
 * The file to load: what the VSIX of a platform has beside the bundles, else the installed package; null when there is neither.
 * Nothing is loaded to find out.
 */
export function findRuntime(): string | null {
  // Beside the bundles and nowhere above: a folder of that name further up is somebody else's.
  const packed = path.join(__dirname, 'onnxruntime/dist/index.js');
  if (existsSync(packed)) return packed;
  try {
    return createRequire(__filename).resolve('onnxruntime-node');
  } catch {
    return null;
  }
}

/** What to say where there is none. */
export const NO_RUNTIME = 'running a model needs onnxruntime, which this installation does not have: install the Bitlens of your platform (the universal one is without it), or "npm install onnxruntime-node" in the folder that holds Bitlens';

/** @throws JobError saying how to install it. */
export function loadRuntime(): Runtime {
  if (loaded) return loaded;
  const file = findRuntime();
  if (file === null) throw new JobError(NO_RUNTIME);
  try {
    // Not a plain import: the bundler must leave it out.
    loaded = createRequire(__filename)(file) as Runtime;
    return loaded;
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new JobError(`onnxruntime could not be loaded from ${file}: ${detail}. Install Bitlens or the package onnxruntime-node again`);
  }
}

export function hasRuntime(): boolean {
  try { loadRuntime(); return true; } catch { return false; }
}
