import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { DTYPE_BITS, writeSafetensors, type DType } from '../../kernels/checkpoint';
import { encodeFloats } from '../../kernels/numerics/codecs';

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Float32 values to store as `dtype`, or raw bytes. */
  readonly values: Float32Array | Uint8Array;
  readonly dtype?: DType;
}

/** Writes tensors to a safetensors file of the test's own. */
export async function temporarySafetensors(t: TestContext, tensors: readonly TestTensor[], metadata: readonly (readonly [string, string])[] = []): Promise<string> {
  const file = path.join(temporaryFolder(t), 'model.safetensors');
  await writeSafetensors(file, tensors.map(({ name, shape, values, dtype = 'F32' }) => ({
    name, dtype, shape,
    write(sink) {
      if (values instanceof Uint8Array) return sink(values);
      const bytes = new Uint8Array((values.length * DTYPE_BITS[dtype]) / 8);
      encodeFloats(dtype, values, values.length, bytes);
      sink(bytes);
    },
  })), metadata);
  return file;
}
