/**
 * The searches of ggml's encoders at the speed of native float32; in plain TypeScript (numerics/ggml/encode-search.ts), bit for bit the
 * same, where kernels.wasm is missing.
 */
import { readFileSync } from 'node:fs';
import { assetPath } from '../assets';
import { affineSearch as plainAffine, foundMinimum as plainMinimum, symmetricSearch as plainSymmetric, type AffineSteps } from '../numerics/ggml/encode-search';

interface Exports {
  heapBase(): number;
  affineSearch(n: number, most: number, x: number, w: number, codes: number, trial: number, least: number, step: number, count: number, absolute: boolean): number;
  symmetricSearch(n: number, most: number, x: number, w: number, codes: number, trial: number): number;
  foundMinimum(): number;
}

interface Kernel {
  readonly wasm: Exports;
  /** x, w, codes and trial, {@link MOST} floats each. */
  readonly room: Float32Array;
  readonly at: readonly [x: number, w: number, codes: number, trial: number];
}

/** Values of one search. */
const MOST = 64;

let made: Kernel | null | undefined;

function kernel(): Kernel | null {
  if (made !== undefined) return made;
  try {
    const memory = new WebAssembly.Memory({ initial: 2 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(assetPath('kernels.wasm'))), { env: { memory, abort: () => { throw new Error('a kernel aborted'); } } });
    const wasm = instance.exports as unknown as Exports;
    const base = wasm.heapBase();
    made = { wasm, room: new Float32Array(memory.buffer, base, 4 * MOST), at: [base, base + 4 * MOST, base + 8 * MOST, base + 12 * MOST] };
  } catch {
    made = null;
  }
  return made;
}

function load(room: Float32Array, slot: number, from: Float32Array, at: number, n: number): void {
  for (let i = 0, to = slot * MOST; i < n; i += 1) room[to + i] = from[at + i]!;
}

/** As the plain one; the minimum, negated, in {@link foundMinimum}. */
export function affineSearch(n: number, most: number, x: Float32Array, at: number, w: Float32Array, wAt: number, codes: Int32Array, codesAt: number, steps: AffineSteps): number {
  const fast = n <= MOST && n % 4 === 0 ? kernel() : null;
  if (!fast) {
    const scale = plainAffine(n, most, x, at, w, wAt, codes, codesAt, steps);
    foundMinimum = plainMinimum;
    return scale;
  }
  const { wasm, room } = fast;
  load(room, 0, x, at, n);
  load(room, 1, w, wAt, n);
  const scale = wasm.affineSearch(n, most, fast.at[0], fast.at[1], fast.at[2], fast.at[3], steps.least, steps.step, steps.count, steps.absolute);
  foundMinimum = wasm.foundMinimum();
  for (let i = 0; i < n; i += 1) codes[codesAt + i] = room[2 * MOST + i]!;
  return scale;
}

/** Minus the minimum that the last {@link affineSearch} found. */
export let foundMinimum = 0;

/** As the plain one. */
export function symmetricSearch(n: number, most: number, x: Float32Array, at: number, codes: Int32Array, codesAt: number, w: Float32Array | null, wAt: number): number {
  const fast = n <= MOST && n % 4 === 0 ? kernel() : null;
  if (!fast) return plainSymmetric(n, most, x, at, codes, codesAt, w, wAt);
  const { wasm, room } = fast;
  load(room, 0, x, at, n);
  if (w) load(room, 1, w, wAt, n);
  const scale = wasm.symmetricSearch(n, most, fast.at[0], w ? fast.at[1] : 0, fast.at[2], fast.at[3]);
  for (let i = 0; i < n; i += 1) codes[codesAt + i] = room[2 * MOST + i]! + most;
  return scale;
}
