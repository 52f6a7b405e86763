/**
 * Product of a shape, or null when it is larger than `limit`. Zero dimensions are allowed and the order of the
 * dimensions does not matter: [2^62, 4, 0] is 0, like [0, 2^62, 4]. Never rounds and never overflows.
 * @param dims non-negative integers; numbers must be safe integers.
 */
export function checkedProduct(dims: readonly (number | bigint)[], limit: number): number | null {
  for (const dim of dims) if (dim == 0) return 0;
  let product = 1;
  for (const dim of dims) {
    // Division first: product * dim <= limit exactly when product <= floor(limit / dim).
    if (dim > limit || product > Math.floor(limit / Number(dim))) return null;
    product *= Number(dim);
  }
  return product;
}

/** Bytes of `count` elements of `bits` bits, or null when they are not whole bytes or not below 2^53. */
export function checkedBytes(count: number, bits: number): number | null {
  if (bits % 8 === 0) {
    const bytes = count * (bits / 8);
    return Number.isSafeInteger(bytes) ? bytes : null;
  }
  const total = BigInt(count) * BigInt(bits);
  if (total % 8n !== 0n || total / 8n > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  return Number(total / 8n);
}

/**
 * One past the last element a strided view touches, counted from its storage's start, or null when that is not below
 * 2^53 or an argument is negative or not an integer. Zero for a view without elements.
 */
export function checkedExtent(shape: readonly number[], strides: readonly number[], offset: number): number | null {
  if (!Number.isSafeInteger(offset) || offset < 0) return null;
  if (strides.some((stride) => !Number.isSafeInteger(stride) || stride < 0)) return null;
  if (shape.includes(0)) return 0;
  let last = offset;
  for (let i = 0; i < shape.length; i++) {
    const stride = strides[i];
    if (stride > 0 && shape[i] - 1 > Math.floor((Number.MAX_SAFE_INTEGER - last) / stride)) return null;
    last += (shape[i] - 1) * stride;
  }
  return last < Number.MAX_SAFE_INTEGER ? last + 1 : null;
}

/** Row-major strides of a shape. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= Math.max(1, shape[i]);
  }
  return strides;
}

/** True when the strides visit memory in row-major order without gaps (dimensions of one element may have any stride). */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== step) return false;
    step *= shape[i];
  }
  return true;
}
