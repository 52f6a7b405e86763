/**
 * onnxruntime-node, loaded when the first graph runs. It is not part of every installation: without it everything that
 * needs only code and weights works, and what needs the model to run says so.
 */
import { createRequire } from 'node:module';
import { JobError } from '../jobs/job';

/** The part of onnxruntime-node's interface that is used here. */
export interface RuntimeTensor { readonly type: string; readonly data: ArrayBufferView | readonly string[]; readonly dims: readonly number[]; dispose?(): void }
export interface RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, RuntimeTensor>): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}
export interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array | string, options?: object): Promise<RuntimeSession> };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => RuntimeTensor;
}

let loaded: Runtime | null = null;

export function hasRuntime(): boolean {
  try { loadRuntime(); return true; } catch { return false; }
}

/** @throws JobError saying how to install it. */
export function loadRuntime(): Runtime {
  if (loaded) return loaded;
  // Not a plain import: the bundler must leave it out, and its absence is no error until a model is run.
  const name = 'onnxruntime-node';
  try {
    loaded = createRequire(__filename)(name) as Runtime;
    return loaded;
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new JobError(`running a model needs the package onnxruntime-node (1.20 or later) beside Bitlens, which could not be loaded: ${detail}. Install it with "npm install onnxruntime-node" in the folder that holds Bitlens`);
  }
}
