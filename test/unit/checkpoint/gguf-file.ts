/** GGUF files made by hand, sound or not, of either byte order. */
import { GGUF_TYPES, GGUF_TYPE_BYTES, type GgufScalar, type GgufType } from '../../../kernels/checkpoint/gguf-metadata';

export interface GgufParts {
  readonly version?: number;
  readonly bigEndian?: boolean;
  readonly pairs?: readonly (readonly [key: string, type: GgufType | `${GgufType}[]`, value: GgufScalar | readonly GgufScalar[]])[];
  /** Shapes innermost first, as in the file; `offset` where it should not follow from the bytes. */
  readonly tensors?: readonly { readonly name: string | Buffer; readonly dims: readonly (number | bigint)[]; readonly type: number; readonly data: Buffer; readonly offset?: bigint }[];
  readonly alignment?: number;
  readonly tensorCount?: bigint;
  readonly pairCount?: bigint;
}

/** Bytes of a file. */
export function gguf(parts: GgufParts): Buffer {
  const { bigEndian = false, alignment = 32, pairs = [], tensors = [] } = parts;
  const integer = (value: number | bigint, width: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    const cut = bytes.subarray(0, width);
    return bigEndian ? Buffer.from(cut).reverse() : cut;
  };
  const text = (value: string | Buffer): Buffer => { const bytes = Buffer.from(value as string); return Buffer.concat([integer(bytes.length, 8), bytes]); };
  const scalar = (type: GgufType, value: GgufScalar): Buffer => {
    if (type === 'string') return text(value as string);
    if (type === 'float32' || type === 'float64') {
      const bytes = Buffer.alloc(GGUF_TYPE_BYTES[type]);
      if (type === 'float32') bytes.writeFloatLE(Number(value)); else bytes.writeDoubleLE(Number(value));
      return bigEndian ? bytes.reverse() : bytes;
    }
    return integer(typeof value === 'boolean' ? Number(value) : value as number | bigint, GGUF_TYPE_BYTES[type]);
  };
  const chunks: Buffer[] = [Buffer.from('GGUF'), integer(parts.version ?? 3, 4), integer(parts.tensorCount ?? tensors.length, 8), integer(parts.pairCount ?? pairs.length, 8)];
  for (const [key, type, value] of pairs) {
    const item = type.replace('[]', '') as GgufType;
    const number = integer(GGUF_TYPES.indexOf(item), 4);
    if (type.endsWith('[]')) chunks.push(text(key), integer(9, 4), number, integer((value as readonly GgufScalar[]).length, 8), Buffer.concat((value as readonly GgufScalar[]).map((each) => scalar(item, each))));
    else chunks.push(text(key), number, scalar(item, value as GgufScalar));
  }
  let at = 0;
  for (const { name, dims, type, data, offset } of tensors) {
    chunks.push(text(name), integer(dims.length, 4), ...dims.map((dim) => integer(dim, 8)), integer(type, 4), integer(offset ?? at, 8));
    at += Math.ceil(data.length / alignment) * alignment;
  }
  const pad = (length: number): Buffer => Buffer.alloc((alignment - length % alignment) % alignment);
  const header = Buffer.concat(chunks);
  if (tensors.length === 0) return header;
  return Buffer.concat([header, pad(header.length), ...tensors.flatMap(({ data }) => [data, pad(data.length)])]);
}
