/** Small safetensors files made byte by byte, so that these tests depend on no writer. */
export interface Entry { readonly name: string; readonly shape: readonly number[]; readonly values?: Float32Array }

/** F32 tensors; values default to a seeded bell-shaped noise. */
export function safetensors(entries: readonly Entry[]): Buffer {
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const parts: Buffer[] = [];
  let offset = 0;
  entries.forEach(({ name, shape, values }, seed) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = values ?? noise(count, seed + 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + 4 * count] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, 4 * count));
    offset += 4 * count;
  });
  const text = Buffer.from(JSON.stringify(header), 'utf8');
  const padded = Buffer.concat([text, Buffer.alloc((8 - text.length % 8) % 8, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...parts]);
}

/** Sums of four uniform numbers: nearly normal, the same on every machine. */
export function noise(count: number, seed: number): Float32Array {
  let state = (seed * 2654435761) >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() + uniform());
}
