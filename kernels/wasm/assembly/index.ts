// Entry of the SIMD kernels. Plain TypeScript references with the same order of operations: ../*.ref.ts.
// The caller owns the memory: it lays its buffers out from heapBase() on and passes addresses.
export { decodeBf16, decodeF64, decodeTable8, decodeTable16, clearNonFinite } from './decode';
export { statistics, moments, exceedances, ranges, histogram, sum } from './statistics';
export { configure, codebook } from './element';
export { blockErrors, pieceErrors } from './errors';
export { affineSearch, symmetricSearch, foundMinimum } from './search';
export { clipChoice } from './clip';

/** First free address. */
export function heapBase(): usize {
  return (__heap_base + 15) & ~15;
}
