/** Makes ONNX files by hand: protobuf fields, tensors, nodes, graphs. */

export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export const int = (field: number, value: number | bigint): Buffer => Buffer.concat([varint(field * 8), varint(value)]);
export const block = (field: number, ...contents: (Buffer | string)[]): Buffer => {
  const bytes = Buffer.concat(contents.map((each) => Buffer.from(each)));
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
};
export const fixed32 = (field: number, value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeFloatLE(value); return Buffer.concat([varint(field * 8 + 5), bytes]); };
export const pair = (field: number, key: string, value: string): Buffer => block(field, block(1, key), block(2, value));

/** The contents of a TensorProto with raw data. */
export const tensor = (name: string, type: number, dims: readonly (number | bigint)[], raw: Buffer | null, ...more: Buffer[]): Buffer =>
  Buffer.concat([...dims.map((dim) => int(1, dim)), int(2, type), ...(name ? [block(8, name)] : []), ...(raw ? [block(9, raw)] : []), ...more]);

export const initializer = (...args: Parameters<typeof tensor>): Buffer => block(5, tensor(...args));
export const intAttribute = (name: string, value: number): Buffer => block(5, block(1, name), int(3, value), int(20, 2));
export const node = (op: string, inputs: readonly string[], outputs: readonly string[], ...more: Buffer[]): Buffer =>
  block(1, ...inputs.map((name) => block(1, name)), ...outputs.map((name) => block(2, name)), block(4, op), ...more);
export const graph = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
export const model = (main: Buffer, ...more: Buffer[]): Buffer => Buffer.concat([int(1, 10), block(2, 'test'), block(7, main), block(8, int(2, 21)), ...more]);
