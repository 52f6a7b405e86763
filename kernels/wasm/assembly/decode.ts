// Stored bytes to float32. Reference: kernels/numerics/codecs.ts.

/** bfloat16 is the upper half of a float32. */
export function decodeBf16(from: usize, count: i32, to: usize): void {
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const codes = v128.load(from + (<usize>i << 1));
    v128.store(to + (<usize>i << 2), i32x4.shl(i32x4.extend_low_i16x8_u(codes), 16));
    v128.store(to + (<usize>i << 2), i32x4.shl(i32x4.extend_high_i16x8_u(codes), 16), 16);
  }
  for (; i < count; i++) store<u32>(to + (<usize>i << 2), <u32>load<u16>(from + (<usize>i << 1)) << 16);
}

export function decodeF64(from: usize, count: i32, to: usize): void {
  for (let i = 0; i < count; i++) store<f32>(to + (<usize>i << 2), <f32>load<f64>(from + (<usize>i << 3)));
}

/** 16-bit codes through a table of 65,536 values. */
export function decodeTable16(from: usize, count: i32, to: usize, table: usize): void {
  for (let i = 0; i < count; i++) store<u32>(to + (<usize>i << 2), load<u32>(table + (<usize>load<u16>(from + (<usize>i << 1)) << 2)));
}

/** 8-bit codes through a table of 256 values. */
export function decodeTable8(from: usize, count: i32, to: usize, table: usize): void {
  for (let i = 0; i < count; i++) store<u32>(to + (<usize>i << 2), load<u32>(table + (<usize>load<u8>(from + <usize>i) << 2)));
}

/** NaN and infinities become zero. */
export function clearNonFinite(ptr: usize, count: i32): void {
  const infinity = f32x4.splat(f32.POSITIVE_INFINITY);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const at = ptr + (<usize>i << 2);
    const x = v128.load(at);
    v128.store(at, v128.and(x, f32x4.lt(f32x4.abs(x), infinity)));
  }
  for (; i < count; i++) {
    const at = ptr + (<usize>i << 2);
    if (!(abs<f32>(load<f32>(at)) < f32.POSITIVE_INFINITY)) store<f32>(at, 0);
  }
}
